//! Readers that stop reading: what the server does about them, and whether they miss anything once they
//! are back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::{OPENING, Plan};
use crate::api::{Api, Conversation, User};
use crate::figures::{Stopped, note, times};
use crate::place::{Ending, Place, Socket};
use crate::progress::Progress;
use crate::protocol::Protocol;

/// How long an old socket may be silent until it is taken for one that the server keeps.
const SILENCE: Duration = Duration::from_secs(1);
/// How long somebody who has everything listens for what comes once more.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Somebody whose socket nobody reads.
pub(super) struct Reader {
    user: User,
    nth: usize,
    socket: Socket,
    /// The conversation as it was when the socket was open.
    known: Conversation,
}

pub(super) async fn open(place: &Place, plan: &Plan) -> anyhow::Result<Vec<Reader>> {
    let api = &Api::new(place.url());
    let others: usize = plan.rooms.iter().map(|room| room.members.len()).sum();
    let readers = plan
        .rooms
        .iter()
        .flat_map(|room| room.stopped.iter().map(|user| (&room.conversation, user)));
    stream::iter((others..).zip(readers))
        .map(|(nth, (conversation, user))| async move {
            let socket = place.open_narrow(plan.protocol, &user.token, nth).await?;
            Ok(Reader {
                known: api.conversation(user, conversation).await?,
                user: user.clone(),
                nth,
                socket,
            })
        })
        .buffered(OPENING)
        .try_collect()
        .await
}

/// Lets all of them read what is left, reconnect and catch up.
pub(super) async fn come_back(
    place: &Place,
    readers: Vec<Reader>,
    grace: Duration,
) -> anyhow::Result<Stopped> {
    let api = &Api::new(place.url());
    let progress = Progress::new("coming back");
    let all = readers.len();
    let mut stopped = Stopped::default();
    let mut took = times();
    let mut back = stream::iter(readers)
        .map(|reader| reader.come_back(place, api, grace.max(SILENCE)))
        .buffer_unordered(OPENING);
    while let Some(back) = back.try_next().await? {
        progress.step(all);
        stopped.readers += 1;
        *stopped.endings.entry(back.ending).or_default() += 1;
        stopped.left += back.left;
        stopped.synced += back.synced;
        stopped.reset += u64::from(back.reset);
        stopped.missing += back.missing;
        stopped.doubled += back.doubled;
        note(
            &mut took,
            u64::try_from(back.took.as_micros()).unwrap_or(u64::MAX),
        );
    }
    stopped.back = Some(took);
    progress.done(&format!("{all} readers"));
    Ok(stopped)
}

/// What one of them has to say.
struct Back {
    ending: String,
    left: u64,
    synced: u64,
    reset: bool,
    missing: u64,
    doubled: u64,
    took: Duration,
}

impl Reader {
    async fn come_back(
        mut self,
        place: &Place,
        api: &Api,
        silence: Duration,
    ) -> anyhow::Result<Back> {
        let mut held = Held::new(&self.known);
        let ending = read_rest(&mut self.socket, &mut held, silence).await;
        // one that was kept ends here
        drop(self.socket);
        let left = held.len();
        let begun = Instant::now();
        let token = &self.user.token;
        let mut socket = place.open(Protocol::Native, token, self.nth).await?;
        let reset = sync(&mut socket, &mut held).await?;
        if reset {
            held.read_history(api, &self.user).await?;
        }
        let took = begun.elapsed();
        let synced = if reset { 0 } else { held.len() - left };
        // what was told by sync must not come live, too
        while let Ok(frame) = tokio::time::timeout(AFTERWARDS, socket.next()).await {
            held.hear(&frame?);
        }
        let now = api.conversation(&self.user, &self.known.id).await?;
        Ok(Back {
            ending,
            left,
            synced,
            reset,
            missing: held.missing(now.last_seq),
            doubled: held.doubled,
            took,
        })
    }
}

/// Reads what is left in a socket; answers how it ended.
async fn read_rest(socket: &mut Socket, held: &mut Held, silence: Duration) -> String {
    loop {
        match tokio::time::timeout(silence, socket.next()).await {
            Ok(Ok(frame)) => held.hear(&frame),
            Ok(Err(Ending::Code { code, reason })) => {
                return format!("closed by the server with {code} ({reason})");
            }
            Ok(Err(Ending::Abrupt(how))) => return format!("ended without a close code ({how})"),
            Err(_) => return "still open".to_owned(),
        }
    }
}

/// Catches up from the last rev that was seen; whether the server wants everything to be read anew.
async fn sync(socket: &mut Socket, held: &mut Held) -> anyhow::Result<bool> {
    const ANSWER: &str = r#"{"id":"sync","#;
    loop {
        let known = json!({ held.conversation.clone(): held.rev });
        let request = json!({"id": "sync", "op": "sync", "conversations": known});
        socket.send(request.to_string()).await?;
        let answer = loop {
            let frame = socket.next().await?;
            if frame.starts_with(ANSWER) {
                break serde_json::from_str::<Value>(&frame).context("the answer to sync")?;
            }
            held.hear(&frame);
        };
        let Some(data) = answer.get("data").filter(|_| answer["ok"] == true) else {
            bail!("sync was refused: {answer}");
        };
        let before = held.rev;
        if held.synced(data)? {
            return Ok(true);
        }
        if data["complete"] == true {
            return Ok(false);
        }
        if held.rev <= before {
            bail!("sync does not go on: {before}");
        }
    }
}

/// What a reader has of a conversation.
struct Held {
    conversation: String,
    /// Newest change that it knows.
    rev: u64,
    /// What was there before is not looked at.
    base: u64,
    seqs: HashSet<u64>,
    /// Messages that came once more.
    doubled: u64,
}

impl Held {
    fn new(known: &Conversation) -> Self {
        Self {
            conversation: known.id.clone(),
            rev: known.rev,
            base: known.last_seq,
            seqs: HashSet::new(),
            doubled: 0,
        }
    }

    fn len(&self) -> u64 {
        self.seqs.len() as u64
    }

    /// Takes note of an event; anything else is not looked at.
    fn hear(&mut self, frame: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(frame) else {
            return;
        };
        if frame["event"] != "message.created" || frame["conversation_id"] != *self.conversation {
            return;
        }
        if let (Some(seq), Some(rev)) = (frame["data"]["seq"].as_u64(), frame["rev"].as_u64()) {
            self.take(seq);
            self.rev = self.rev.max(rev);
        }
    }

    /// Takes note of what a sync says; whether everything is to be read anew.
    fn synced(&mut self, data: &Value) -> anyhow::Result<bool> {
        let of_it = |id: &Value| *id == *self.conversation;
        if data["reset"]
            .as_array()
            .is_some_and(|reset| reset.iter().any(of_it))
        {
            return Ok(true);
        }
        let changes = data["changes"].as_array().context("a sync has changes")?;
        let seqs: Vec<u64> = changes
            .iter()
            .filter(|change| change["type"] == "message" && of_it(&change["conversation_id"]))
            .filter_map(|change| change["data"]["seq"].as_u64())
            .collect();
        for seq in seqs {
            self.take(seq);
        }
        let rev = data["conversations"][&self.conversation].as_u64();
        self.rev = rev.context("a sync says where it has come to")?;
        Ok(false)
    }

    /// Drops everything, and reads what is stored.
    async fn read_history(&mut self, api: &Api, user: &User) -> anyhow::Result<()> {
        self.seqs.clear();
        let mut after = self.base;
        loop {
            let path = format!(
                "/v1/conversations/{}/messages?after={after}&limit=100",
                self.conversation
            );
            let page = api.get(&path, user).await?;
            let items = page["items"].as_array().context("a page without items")?;
            for item in items {
                let seq = item["seq"].as_u64().context("a message without seq")?;
                self.take(seq);
                after = after.max(seq);
            }
            if items.is_empty() || page["next_cursor"].is_null() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, seq: u64) {
        if seq > self.base && !self.seqs.insert(seq) {
            self.doubled += 1;
        }
    }

    /// How many of the messages up to `last` it does not have.
    fn missing(&self, last: u64) -> u64 {
        let there = self.seqs.iter().filter(|seq| **seq <= last).count() as u64;
        last.saturating_sub(self.base).saturating_sub(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        Held::new(&Conversation {
            id: "c".to_owned(),
            last_seq: 5,
            rev: 9,
        })
    }

    fn event(conversation: &str, rev: u64, seq: u64) -> String {
        let event = json!({"event": "message.created", "conversation_id": conversation, "rev": rev, "data": {"seq": seq}});
        event.to_string()
    }

    #[test]
    fn what_is_missing_and_what_came_twice() {
        let mut held = held();
        for frame in [event("c", 10, 6), event("c", 11, 7), event("d", 99, 8)] {
            held.hear(&frame);
        }
        held.hear("rubbish");
        assert_eq!((held.rev, held.len(), held.missing(9)), (11, 2, 2));
        let data = json!({
            "changes": [
                {"conversation_id": "c", "rev": 11, "type": "message", "data": {"seq": 7}},
                {"conversation_id": "c", "rev": 12, "type": "message", "data": {"seq": 8}},
                {"conversation_id": "d", "rev": 3, "type": "message", "data": {"seq": 9}},
            ],
            "conversations": {"c": 12, "d": 3}, "reset": [], "complete": true,
        });
        assert!(!held.synced(&data).unwrap());
        assert_eq!((held.rev, held.doubled), (12, 1));
        assert_eq!((held.missing(8), held.missing(9)), (0, 1));
    }

    #[test]
    fn who_is_too_far_behind_reads_anew() {
        let mut held = held();
        let data = json!({"changes": [], "conversations": {}, "reset": ["c"], "complete": true});
        assert!(held.synced(&data).unwrap());
        assert!(held.synced(&json!({"reset": []})).is_err());
    }
}
