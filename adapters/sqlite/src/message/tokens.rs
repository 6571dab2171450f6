//! What segments are found by. See the schema for the shape of a token.

use connexus_domain::ConversationId;
use connexus_domain::terms::TermQuery;

use crate::sql::push_hex;

/// How many bytes of a conversation's id go before its terms: the random ones at the end. Two
/// conversations may share them; what is found is checked against the whole id anyway.
const TAG: usize = 8;

/// The tokens of a conversation's terms.
pub(super) fn tokens<'t>(
    conversation: ConversationId,
    terms: impl IntoIterator<Item = &'t String>,
) -> String {
    let mut text = String::new();
    for term in terms {
        if !text.is_empty() {
            text.push(' ');
        }
        push_token(&mut text, conversation, term);
    }
    text
}

/// An FTS5 expression that matches what has all the terms, in one of the conversations.
pub(super) fn expression(
    conversations: impl IntoIterator<Item = ConversationId>,
    query: &TermQuery,
) -> String {
    let mut text = String::new();
    for conversation in conversations {
        if !text.is_empty() {
            text.push_str(" OR ");
        }
        text.push('(');
        for term in &query.all {
            push_token(&mut text, conversation, term);
            text.push_str(" AND ");
        }
        push_token(&mut text, conversation, &query.prefix);
        text.push_str("*)");
    }
    text
}

fn push_token(text: &mut String, conversation: ConversationId, term: &str) {
    let id = conversation.as_uuid();
    push_hex(text, &id.as_bytes()[16 - TAG..]);
    push_hex(text, term.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use connexus_domain::terms;
    use uuid::Uuid;

    #[test]
    fn a_query_is_made_of_the_tokens_of_a_body() {
        let id = ConversationId::from_uuid(Uuid::from_u128(0xabc));
        assert_eq!(
            tokens(id, &terms::terms("b A")),
            "0000000000000abc61 0000000000000abc62"
        );
        let query = terms::query("a b").unwrap();
        assert_eq!(
            expression([id], &query),
            "(0000000000000abc61 AND 0000000000000abc62*)"
        );
    }
}
