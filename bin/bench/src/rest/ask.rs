//! One connection: asks, waits, checks the answer, and asks again.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::api::{Api, Conversation, User};
use crate::users::nonce;

/// Messages or conversations of a page.
const PAGE: usize = 50;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mix {
    /// A message is sent to one of the conversations.
    Post,
    /// A page of 50 messages, at a random place of a random conversation.
    History,
    /// The first page of 50 of the conversation list.
    List,
}

impl Mix {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::History => "history",
            Self::List => "list",
        }
    }
}

pub struct Asker {
    api: Api,
    /// The first has a conversation with each of the others.
    users: Arc<[User]>,
    conversations: Arc<[Conversation]>,
    size: usize,
    random: Random,
    /// In the keys of its messages.
    run: u64,
    sent: u64,
}

/// What a connection has to say in the end.
pub struct Asked {
    /// Of each request of the time that is measured, in microseconds.
    pub times: Vec<u64>,
    /// Messages that it sent.
    pub sent: u64,
    /// What ended it early.
    pub error: Option<String>,
}

impl Asker {
    pub fn new(
        api: Api,
        users: Arc<[User]>,
        conversations: Arc<[Conversation]>,
        size: usize,
    ) -> Self {
        Self {
            api,
            users,
            conversations,
            size,
            random: Random::new(nonce()),
            run: nonce(),
            sent: 0,
        }
    }

    /// Until the end, or the first error. Whatever is answered from `begin` to `end` is timed.
    pub async fn ask(mut self, mix: Mix, begin: Instant, end: Instant) -> Asked {
        let mut times = Vec::new();
        let mut error = None;
        while Instant::now() < end {
            let asked = Instant::now();
            let answered = match mix {
                Mix::Post => self.post().await,
                Mix::History => self.history().await,
                Mix::List => self.list().await,
            };
            match answered {
                Ok(answered) if asked >= begin && answered <= end => {
                    let took = answered.duration_since(asked).as_micros();
                    times.push(u64::try_from(took).unwrap_or(u64::MAX));
                }
                Ok(_) => {}
                Err(wrong) => {
                    error = Some(format!("{wrong:#}"));
                    break;
                }
            }
        }
        Asked {
            times,
            sent: self.sent,
            error,
        }
    }

    /// A conversation, with the user that has nobody else to talk to.
    fn room(&mut self) -> (&User, &Conversation) {
        let room = self.random.below(self.conversations.len() as u64);
        let room = usize::try_from(room).unwrap_or_default();
        (&self.users[room + 1], &self.conversations[room])
    }

    async fn post(&mut self) -> anyhow::Result<Instant> {
        let key = format!("{:x}-{}", self.run, self.sent);
        let body = "x".repeat(self.size.max(1));
        self.sent += 1;
        let api = self.api.clone();
        let (user, conversation) = self.room();
        let path = format!("/v1/conversations/{}/messages", conversation.id);
        let message = json!({"body": body, "client_id": key});
        let answer = api.post(&path, Some(&user.token), &message).await?;
        let answered = Instant::now();
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        ensure!(
            text("client_id") == Some(key.as_str())
                && text("conversation_id") == Some(conversation.id.as_str())
                && text("body").is_some_and(|stored| stored.len() == body.len())
                && answer.get("seq").and_then(Value::as_u64) > Some(conversation.last_seq),
            "another message than the one that was sent: {answer}"
        );
        Ok(answered)
    }

    async fn history(&mut self) -> anyhow::Result<Instant> {
        let api = self.api.clone();
        let place = self.random.next();
        let (user, conversation) = self.room();
        // 50 at least are below it, where there are so many
        let places = conversation.last_seq.saturating_sub(PAGE as u64) + 1;
        let before = (conversation.last_seq + 1) - place % places;
        let path = format!(
            "/v1/conversations/{}/messages?before={before}&limit={PAGE}",
            conversation.id
        );
        let answer = api.get(&path, user).await?;
        let answered = Instant::now();
        check_page(&answer, &conversation.id, before).with_context(|| format!("GET {path}"))?;
        Ok(answered)
    }

    async fn list(&mut self) -> anyhow::Result<Instant> {
        let path = format!("/v1/conversations?limit={PAGE}");
        let answer = self.api.get(&path, &self.users[0]).await?;
        let answered = Instant::now();
        let all = self.conversations.len();
        check_list(&answer, all).with_context(|| format!("GET {path}"))?;
        Ok(answered)
    }
}

fn items(answer: &Value) -> anyhow::Result<&Vec<Value>> {
    let items = answer.get("items").and_then(Value::as_array);
    items.context("a page without items")
}

/// Whether these are the newest messages of the conversation below `before`, newest first, and none is missing.
fn check_page(answer: &Value, conversation: &str, before: u64) -> anyhow::Result<()> {
    let items = items(answer)?;
    let expected = before.saturating_sub(1).min(PAGE as u64);
    ensure!(
        items.len() as u64 == expected,
        "{} messages below {before} instead of {expected}",
        items.len()
    );
    for (item, seq) in items.iter().zip((1..before).rev()) {
        let found = item.get("seq").and_then(Value::as_u64);
        ensure!(found == Some(seq), "{found:?} where {seq} belongs");
        let of = item.get("conversation_id").and_then(Value::as_str);
        ensure!(of == Some(conversation), "{seq} is of {of:?}");
    }
    Ok(())
}

/// Whether it is a page of different conversations, latest activity first.
fn check_list(answer: &Value, all: usize) -> anyhow::Result<()> {
    let items = items(answer)?;
    let expected = all.min(PAGE);
    ensure!(
        items.len() == expected,
        "{} conversations instead of {expected}",
        items.len()
    );
    let text = |item: &Value, name: &str| {
        let text = item.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
            .with_context(|| format!("a conversation without {name}"))
    };
    let mut seen = std::collections::HashSet::new();
    let mut last: Option<String> = None;
    for item in items {
        let id = text(item, "id")?;
        // of one form, so that they compare as text
        let active = text(item, "last_activity_at")?;
        ensure!(
            last.is_none_or(|last| last >= active),
            "{id} is out of order"
        );
        last = Some(active);
        ensure!(seen.insert(id), "a conversation comes twice");
    }
    Ok(())
}

/// Numbers that look random enough to pick a page (SplitMix64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `end` is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(seqs: impl Iterator<Item = u64>, conversation: &str) -> Value {
        let items: Vec<Value> = seqs
            .map(|seq| json!({"seq": seq, "conversation_id": conversation}))
            .collect();
        json!({ "items": items })
    }

    #[test]
    fn a_page_of_the_history_lacks_nothing() {
        assert!(check_page(&page((51..=100).rev(), "c"), "c", 101).is_ok());
        assert!(check_page(&page((1..=7).rev(), "c"), "c", 8).is_ok());
        assert!(check_page(&page(0..0, "c"), "c", 1).is_ok());
        let wrong = [
            page((51..=100).rev(), "d"),
            page(51..=100, "c"),
            page((52..=100).rev(), "c"),
            page((50..=99).rev(), "c"),
            page((50..=100).rev().filter(|seq| *seq != 70), "c"),
            json!({}),
        ];
        for page in wrong {
            assert!(check_page(&page, "c", 101).is_err(), "{page}");
        }
    }

    #[test]
    fn a_page_of_the_list_is_in_order() {
        let list = |items: &[(&str, &str)]| {
            let items: Vec<Value> = items
                .iter()
                .map(|(id, at)| json!({"id": id, "last_activity_at": at}))
                .collect();
            json!({ "items": items })
        };
        assert!(check_list(&list(&[("a", "3"), ("b", "2"), ("c", "2")]), 3).is_ok());
        assert!(check_list(&list(&[("a", "2"), ("b", "3")]), 2).is_err());
        assert!(check_list(&list(&[("a", "3"), ("a", "2")]), 2).is_err());
        assert!(check_list(&list(&[("a", "3")]), 2).is_err());
    }
}
