//! What messages are found by. See the schema for the shape of a lexeme.

use connexus_domain::ConversationId;
use connexus_domain::terms::{self, TermQuery};

use crate::sql::push_hex;

/// How many bytes of a conversation's id go before its terms: the random ones at the end. Two
/// conversations may share them; what is found is checked against the whole id anyway.
const TAG: usize = 4;

/// Stands for the tag in [`expression`].
pub(super) const TAG_MARK: &str = "#";

/// The lexemes of a body, with blanks between; `None` when there is nothing in it to look for.
pub(super) fn of_body(conversation: ConversationId, body: &str) -> Option<String> {
    let terms = terms::terms(body);
    (!terms.is_empty()).then(|| all(conversation, &terms))
}

/// The lexemes of these terms, with blanks between.
pub(super) fn all<'t>(
    conversation: ConversationId,
    terms: impl IntoIterator<Item = &'t String>,
) -> String {
    let id = conversation.as_uuid();
    let mut tag = String::with_capacity(2 * TAG);
    push_hex(&mut tag, &id.as_bytes()[16 - TAG..]);
    let mut text = String::new();
    for term in terms {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&tag);
        text.push_str(term);
    }
    text
}

/// A `tsquery` for what has all the terms, once a conversation's tag is put for [`TAG_MARK`].
pub(super) fn expression(query: &TermQuery) -> String {
    let quoted = |term: &str| {
        let term = term.replace('\\', r"\\").replace('\'', "''");
        format!("'{TAG_MARK}{term}'")
    };
    let whole = query.all.iter().map(|term| quoted(term) + " & ");
    whole.chain([quoted(&query.prefix) + ":*"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_query_is_made_of_the_lexemes_of_a_body() {
        let id = ConversationId::from_uuid(Uuid::from_u128(0xabc));
        assert_eq!(of_body(id, "b A").as_deref(), Some("00000abca 00000abcb"));
        let query = terms::query("a b").unwrap();
        assert_eq!(expression(&query), "'#a' & '#b':*");
        assert_eq!(of_body(id, "?!"), None);
    }
}
