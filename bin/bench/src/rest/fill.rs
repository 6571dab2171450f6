//! Messages that are stored before anything is measured: each conversation has a sender, on a native socket.

use std::collections::HashSet;

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::api::{Conversation, User};
use crate::place::{Place, Socket};
use crate::progress::Progress;
use crate::protocol::{Heard, Protocol};
use crate::tag::Tag;
use crate::users::nonce;

/// Messages that are under way, over all conversations: batches are as large as the server makes them.
const UNDER_WAY: usize = 4_096;

/// Conversations that are filled at the same time: each is a socket.
const AT_ONCE: usize = 256;

/// Sends what is missing until the conversations have `stored` messages together, each about as many;
/// answers how many that were. Each user is of the conversation at the same place.
pub async fn up_to(
    place: &Place,
    users: &[User],
    conversations: &[Conversation],
    stored: u64,
    length: usize,
) -> anyhow::Result<u64> {
    let there: Vec<u64> = conversations.iter().map(|found| found.last_seq).collect();
    let missing = shares(&there, stored);
    let all: u64 = missing.iter().sum();
    if all == 0 {
        return Ok(0);
    }
    let window = UNDER_WAY.div_ceil(conversations.len().min(AT_ONCE));
    let run = nonce();
    let progress = Progress::new("storing");
    let mut done = 0;
    let work = users.iter().zip(conversations).zip(missing).enumerate();
    let work: Vec<_> = work.filter(|(_, (_, missing))| *missing > 0).collect();
    let mut filled = stream::iter(work)
        .map(|(nth, ((user, conversation), missing))| async move {
            let socket = place.open(Protocol::Native, &user.token, nth).await?;
            let filling = Filling {
                socket,
                conversation,
                length,
                run,
                under_way: HashSet::new(),
                next: 0,
            };
            filling.send(missing, window).await?;
            anyhow::Ok(missing)
        })
        .buffer_unordered(AT_ONCE);
    while let Some(more) = filled.try_next().await? {
        done += more;
        progress.tell(|| format!("{done} of {all} messages"));
    }
    progress.done(&format!("{all} messages"));
    Ok(all)
}

/// What each conversation lacks, so that together they have `all`; those that have least get most.
fn shares(there: &[u64], all: u64) -> Vec<u64> {
    let mut left = all.saturating_sub(there.iter().sum());
    let mut order: Vec<usize> = (0..there.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(there[*at]));
    let mut rest = all;
    let mut missing = vec![0; there.len()];
    // from the fullest on: whatever it has above its share, the others need not have
    for (done, at) in order.into_iter().enumerate() {
        let among = (there.len() - done) as u64;
        let goal = rest.div_ceil(among).max(there[at]);
        let more = (goal - there[at]).min(left);
        missing[at] = more;
        left -= more;
        rest = rest.saturating_sub(there[at] + more);
    }
    missing
}

struct Filling<'a> {
    socket: Socket,
    conversation: &'a Conversation,
    length: usize,
    run: u64,
    under_way: HashSet<u64>,
    next: u64,
}

impl Filling<'_> {
    async fn send(mut self, all: u64, window: usize) -> anyhow::Result<()> {
        // written together and half a window at a time, which costs less than one by one
        while self.next < all || !self.under_way.is_empty() {
            if self.next < all && self.under_way.len() <= window / 2 {
                while self.next < all && self.under_way.len() < window {
                    let frame = self.message();
                    self.socket.feed(frame).await?;
                }
                self.socket.flush().await?;
            }
            let frame = self.socket.next().await.context("storing messages")?;
            match Protocol::Native.hear(&frame) {
                Heard::Stored { key } => {
                    let number = key.rsplit_once('-').and_then(|(_, n)| n.parse().ok());
                    let known = number.is_some_and(|number| self.under_way.remove(&number));
                    ensure!(known, "an answer to nothing that was sent: {frame}");
                }
                Heard::Refused { .. } => bail!("the server refused a message: {frame}"),
                _ => {}
            }
        }
        Ok(())
    }

    fn message(&mut self) -> String {
        let tag = Tag {
            run: self.run,
            room: 0,
            sender: 0,
            number: self.next,
            due: 0,
        };
        self.under_way.insert(self.next);
        let key = format!("{:x}-{}", self.run, self.next);
        self.next += 1;
        Protocol::Native.message(&self.conversation.id, &key, &tag.text(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_are_filled_evenly() {
        assert_eq!(shares(&[0, 0, 0], 10), [4, 3, 3]);
        assert_eq!(shares(&[10, 0, 2], 16), [0, 3, 1]);
        assert_eq!(shares(&[3, 3], 6), [0, 0]);
        assert_eq!(shares(&[30, 3], 6), [0, 0]);
        for there in [[0, 7, 100, 3], [1, 1, 1, 1]] {
            let missing: u64 = shares(&there, 200).iter().sum();
            assert_eq!(missing, 200 - there.iter().sum::<u64>());
        }
    }
}
