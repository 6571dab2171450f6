//! What messages are found by. See the schema for the shape of a token.

use connexus_domain::terms::{self, TermQuery};
use connexus_domain::{ConversationId, Result};

use crate::error::InDomain as _;
use crate::sql::push_hex;
use crate::storage::Tx;

/// How many bytes of a conversation's id go before its terms: the random ones at the end. Two
/// conversations may share them; what is found is checked against the whole id anyway.
const TAG: usize = 8;

/// The tokens of a body; `None` when there is nothing in it to look for.
pub(super) fn tokens(conversation: ConversationId, body: &str) -> Option<String> {
    let terms = terms::terms(body);
    if terms.is_empty() {
        return None;
    }
    let mut text = String::new();
    for term in terms {
        if !text.is_empty() {
            text.push(' ');
        }
        push_token(&mut text, conversation, &term);
    }
    Some(text)
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

/// Makes a live message found by another body.
pub(super) async fn replace(
    tx: &mut Tx,
    num: i64,
    conversation: ConversationId,
    body: &str,
) -> Result<()> {
    remove(tx, num).await?;
    if let Some(tokens) = tokens(conversation, body) {
        sqlx::query("INSERT INTO message_terms (rowid, tokens) VALUES (?1, ?2)")
            .bind(num)
            .bind(tokens)
            .execute(&mut **tx)
            .await
            .in_domain()?;
    }
    Ok(())
}

/// Makes a message not found any more.
pub(super) async fn remove(tx: &mut Tx, num: i64) -> Result<()> {
    sqlx::query("DELETE FROM message_terms WHERE rowid = ?1")
        .bind(num)
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_query_is_made_of_the_tokens_of_a_body() {
        let id = ConversationId::from_uuid(Uuid::from_u128(0xabc));
        assert_eq!(
            tokens(id, "b A").as_deref(),
            Some("0000000000000abc61 0000000000000abc62")
        );
        let query = terms::query("a b").unwrap();
        assert_eq!(
            expression([id], &query),
            "(0000000000000abc61 AND 0000000000000abc62*)"
        );
        assert_eq!(tokens(id, "?!"), None);
    }
}
