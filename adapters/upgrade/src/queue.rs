//! What waits to be written to one socket: frames that are already encoded.
//!
//! Whoever has queued some may write at once ([`flush`](WriteQueue::flush)), on any thread and without waking the
//! socket's task: what has gathered is one system call. The task writes what the kernel did not take
//! ([`poll_write`](WriteQueue::poll_write)).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use tokio::net::tcp::OwnedWriteHalf;

use crate::Upgraded;

/// Frames that go out in one system call.
const GATHER: usize = 64;

/// When a frame is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It may wait for another to share a system call with.
    Lingers,
    /// With what has gathered by the end of the turn.
    Soon,
}

/// What waits to be written to one socket.
#[derive(Default)]
pub struct WriteQueue {
    /// Where to write, from the upgrade until all is written after the end.
    socket: Option<OwnedWriteHalf>,
    frames: Frames,
    /// Part of the first one is written, or it is the answer to the upgrade.
    begun: bool,
    bytes: usize,
    /// For which flush it waits, if one was asked for.
    asked: Option<Urgency>,
    /// Wakes the task that writes what the kernel did not take.
    waker: Option<Waker>,
}

impl From<Upgraded> for WriteQueue {
    fn from(upgraded: Upgraded) -> Self {
        let mut queue = Self::default();
        queue.start(upgraded);
        queue
    }
}

impl WriteQueue {
    /// From now on frames are written, after the answer to the upgrade.
    pub fn start(&mut self, upgraded: Upgraded) {
        self.socket = Some(upgraded.socket);
        self.bytes += upgraded.head.len();
        self.frames.push_front(upgraded.head);
        // whatever is dropped: the answer is not
        self.begun = true;
    }

    /// Nothing is written any more, and the other side is told that there is no more.
    pub fn hang_up(&mut self) {
        self.socket = None;
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a frame. The socket's task writes it when it is polled.
    pub fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Queues a frame for a [flush](Self::flush); whether that is to be asked for, since none was that comes as soon.
    pub fn push_for_flush(&mut self, frame: Bytes, urgency: Urgency) -> bool {
        self.push(frame);
        let asks = self.asked < Some(urgency);
        if asks {
            self.asked = Some(urgency);
        }
        asks
    }

    /// Drops what waits, but for the rest of a frame that is half written: what follows has to be told from it.
    pub fn clear(&mut self) {
        self.frames.clear(self.begun);
        self.bytes = self.frames.iter().map(Bytes::len).sum();
    }

    /// Writes what waits and the socket takes. The rest is left to its task, and so is a broken socket.
    pub fn flush(&mut self) {
        if self.write().is_err() {
            self.wake();
        }
    }

    /// Wakes the socket's task, which writes what waits.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// For the socket's task: ready when all is written, or the connection is broken.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        loop {
            match self.write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            if let Some(socket) = &self.socket {
                ready!(socket.as_ref().poll_write_ready(cx))?;
            }
        }
    }

    /// For the socket's task: the same, but ready only when the connection is broken.
    pub fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self.poll_write(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.asked = None;
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        while let Some(first) = &self.frames.first {
            let mut written = if self.frames.more.is_empty() {
                socket.try_write(first)?
            } else {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let frames = self.frames.iter().zip(&mut slices);
                let count = frames.map(|(frame, slice)| *slice = IoSlice::new(frame));
                let count = count.count();
                socket.try_write_vectored(&slices[..count])?
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.bytes = self.bytes.saturating_sub(written);
            self.begun = false;
            while let Some(frame) = &mut self.frames.first {
                if frame.len() > written {
                    frame.advance(written);
                    self.begun = written > 0;
                    break;
                }
                written -= frame.len();
                self.frames.pop_front();
            }
        }
        Ok(())
    }
}

/// Frames in line. The first has a place of its own: mostly there is no other, and nothing to be allocated. What more
/// there is gives its memory back when the last has gone: most sockets are idle most of the time.
#[derive(Default)]
struct Frames {
    first: Option<Bytes>,
    /// Empty when there is no first.
    more: VecDeque<Bytes>,
}

impl Frames {
    fn push_back(&mut self, frame: Bytes) {
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.more.push_back(frame);
        }
    }

    fn push_front(&mut self, frame: Bytes) {
        if let Some(second) = self.first.replace(frame) {
            self.more.push_front(second);
        }
    }

    fn pop_front(&mut self) {
        self.first = self.more.pop_front();
        if self.first.is_none() {
            self.more = VecDeque::new();
        }
    }

    /// Drops all, or all but the first.
    fn clear(&mut self, keeps_first: bool) {
        self.more = VecDeque::new();
        if !keeps_first {
            self.first = None;
        }
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(&self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_asked_for_once_and_again_when_it_is_to_come_sooner() {
        let mut queue = WriteQueue::default();
        let mut push = |urgency| queue.push_for_flush(Bytes::from_static(b"x"), urgency);
        assert!(push(Urgency::Lingers));
        assert!(!push(Urgency::Lingers));
        assert!(push(Urgency::Soon));
        assert!(!push(Urgency::Soon));
        assert!(!push(Urgency::Lingers));
        queue.flush();
        assert!(queue.push_for_flush(Bytes::from_static(b"x"), Urgency::Lingers));
        assert_eq!((queue.len(), queue.bytes()), (6, 6));
    }

    #[test]
    fn frames_stay_in_line_whichever_place_they_have() {
        let mut frames = Frames::default();
        frames.push_back(Bytes::from_static(b"2"));
        frames.push_front(Bytes::from_static(b"1"));
        frames.push_back(Bytes::from_static(b"3"));
        let line = |frames: &Frames| frames.iter().flatten().copied().collect::<Vec<u8>>();
        assert_eq!((line(&frames), frames.len()), (b"123".to_vec(), 3));
        frames.pop_front();
        frames.push_back(Bytes::from_static(b"4"));
        assert_eq!((line(&frames), frames.len()), (b"234".to_vec(), 3));
        frames.clear(true);
        assert_eq!((line(&frames), frames.is_empty()), (b"2".to_vec(), false));
        frames.push_back(Bytes::from_static(b"5"));
        frames.pop_front();
        frames.pop_front();
        assert!(frames.is_empty() && frames.more.capacity() == 0);
        frames.push_front(Bytes::from_static(b"6"));
        frames.clear(false);
        assert_eq!((frames.is_empty(), frames.len()), (true, 0));
    }
}
