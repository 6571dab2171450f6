//! One connection of a run: writes what is due, and checks what it hears.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::{Due, Latencies, Room, Run, Sender, Shard, Until, lock};
use crate::check::{Faults, Seen};
use crate::figures::{note, times};
use crate::place::Socket;
use crate::protocol::{Heard, Protocol};
use crate::tag::Tag;

pub(super) struct Seat {
    run: Arc<Run>,
    nth: usize,
    room: usize,
    sender: Option<usize>,
    seen: Seen,
    /// Own messages that are under way, with the times at which they were due.
    under_way: HashMap<u64, u64>,
    /// Newest number in the conversation, and messages since the last read mark.
    newest: u64,
    unread: u64,
    faults: Faults,
    reason: Option<String>,
}

/// What a connection has to say in the end.
pub(super) struct Ended {
    pub faults: Faults,
    pub reason: Option<String>,
}

impl Seat {
    pub fn new(run: Arc<Run>, nth: usize, room: usize, sender: Option<usize>) -> Self {
        let senders = run.rooms[room].senders.len();
        Self {
            run,
            nth,
            room,
            sender,
            seen: Seen::new(senders, sender),
            under_way: HashMap::new(),
            newest: 0,
            unread: 0,
            faults: Faults::default(),
            reason: None,
        }
    }

    /// Until nothing more can become due.
    pub async fn attend(
        mut self,
        mut socket: Socket,
        mut dues: mpsc::UnboundedReceiver<Due>,
    ) -> Ended {
        if let Err(error) = self.serve(&mut socket, &mut dues).await {
            self.faults.closed += 1;
            self.reason.get_or_insert(format!("{error:#}"));
        }
        self.conclude()
    }

    async fn serve(
        &mut self,
        socket: &mut Socket,
        dues: &mut mpsc::UnboundedReceiver<Due>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                frame = socket.next() => {
                    if let Some(answer) = self.hear(&frame?) {
                        socket.send(answer).await?;
                    }
                }
                due = dues.recv() => {
                    let Some(mut due) = due else {
                        return Ok(());
                    };
                    loop {
                        if self.run.typing {
                            socket.feed(self.run.protocol.typing(&self.room().conversation)).await?;
                        }
                        socket.feed(self.message(due)).await?;
                        match dues.try_recv() {
                            Ok(next) => due = next,
                            Err(_) => break,
                        }
                    }
                    socket.flush().await?;
                }
            }
        }
    }

    fn room(&self) -> &Room {
        &self.run.rooms[self.room]
    }

    fn own(&self) -> Option<&Sender> {
        self.room().senders.get(self.sender?)
    }

    fn shard(&self) -> &Shard {
        &self.run.shards[self.nth % self.run.shards.len()]
    }

    fn message(&mut self, due: Due) -> String {
        self.under_way.insert(due.number, due.at);
        let run = &self.run;
        let tag = Tag {
            run: run.nonce,
            room: self.room,
            sender: self.sender.unwrap_or_default(),
            number: due.number,
            due: due.at,
        };
        let mut key = String::with_capacity(32);
        // writing to memory does not fail
        let _ = write!(key, "{:x}-{}", run.nonce, due.number);
        let text = tag.text(run.payload);
        run.protocol.message(&self.room().conversation, &key, &text)
    }

    /// Takes note of a frame; answers what to write for it.
    fn hear(&mut self, frame: &str) -> Option<String> {
        match self.run.protocol.hear(frame) {
            Heard::Message { text, seq } => {
                let tag = Tag::read(text).filter(|tag| tag.run == self.run.nonce)?;
                if tag.room != self.room {
                    self.seen.misrouted();
                    return None;
                }
                self.received(tag);
                self.newest = self.newest.max(seq.unwrap_or_default());
                self.mark_read()
            }
            Heard::Stored { key } => {
                let number = self.number(key)?;
                self.stored(number);
                None
            }
            Heard::Refused { key } => {
                self.refused(key.and_then(|key| self.number(key)), frame);
                None
            }
            Heard::Chatter => {
                if self.run.measured.contains(&self.run.now()) {
                    self.shard().chatter.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            Heard::Ping => Some(Protocol::PONG.to_owned()),
            Heard::Welcome | Heard::Other => None,
        }
    }

    fn received(&mut self, tag: Tag) {
        let item = (tag.sender, tag.number);
        if !self.seen.see(item) {
            return;
        }
        let run = Arc::clone(&self.run);
        let room = &run.rooms[self.room];
        let everywhere = {
            let mut told = lock(&room.told);
            self.seen.compare(item, &mut told.order);
            told.arrivals.arrived(item)
        };
        room.delivered.fetch_add(1, Ordering::Relaxed);
        if everywhere && run.until == Some(Until::Delivered) {
            room.senders[tag.sender].window.add_permits(1);
        }
        let now = run.now();
        if run.measured.contains(&now) {
            self.shard().deliveries.fetch_add(1, Ordering::Relaxed);
        }
        if run.measured.contains(&tag.due) {
            let late = now.saturating_sub(tag.due);
            self.record(|latencies| note(&mut latencies.delivered, late));
        }
    }

    fn mark_read(&mut self) -> Option<String> {
        self.unread += 1;
        if self.run.read_every == 0 || self.unread < self.run.read_every {
            return None;
        }
        self.unread = 0;
        let conversation = &self.room().conversation;
        Some(self.run.protocol.read(conversation, self.newest))
    }

    fn stored(&mut self, number: u64) {
        let Some(due) = self.under_way.remove(&number) else {
            // acknowledged once more
            self.faults.doubled += 1;
            return;
        };
        if let Some(own) = self.own() {
            own.stored.fetch_add(1, Ordering::Relaxed);
            if self.run.until == Some(Until::Acknowledged) {
                own.window.add_permits(1);
            }
        }
        let now = self.run.now();
        if self.run.measured.contains(&now) {
            self.shard().sends.fetch_add(1, Ordering::Relaxed);
        }
        if self.run.measured.contains(&due) {
            let late = now.saturating_sub(due);
            self.record(|latencies| note(&mut latencies.acknowledged, late));
        }
    }

    fn refused(&mut self, number: Option<u64>, frame: &str) {
        self.reason.get_or_insert_with(|| frame.to_owned());
        match number.and_then(|number| self.under_way.remove(&number)) {
            Some(_) => {
                if let Some(own) = self.own() {
                    own.refused.fetch_add(1, Ordering::Relaxed);
                    own.window.add_permits(1);
                }
            }
            None => self.faults.refused += 1,
        }
    }

    /// The number in the key of an own message of this run.
    fn number(&self, key: &str) -> Option<u64> {
        let (run, number) = key.split_once('-')?;
        let run = u64::from_str_radix(run, 16).ok()?;
        number.parse().ok().filter(|_| run == self.run.nonce)
    }

    fn record(&self, take: impl FnOnce(&mut Latencies)) {
        let mut shard = lock(&self.shard().times);
        take(shard.get_or_insert_with(|| Latencies {
            acknowledged: times(),
            delivered: times(),
        }));
    }

    fn conclude(mut self) -> Ended {
        let run = Arc::clone(&self.run);
        let room = &run.rooms[self.room];
        self.seen.catch_up(&lock(&room.told).order);
        let stored: Vec<u64> = room
            .senders
            .iter()
            .map(|sender| sender.stored.load(Ordering::Relaxed))
            .collect();
        let mut faults = self.seen.conclude(&stored);
        faults += self.faults;
        Ended {
            faults,
            reason: self.reason,
        }
    }
}
