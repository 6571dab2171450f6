use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

thread_local! {
    /// One for all connections of a thread, since a read ends before another begins.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// What a client sends after its upgrade. It holds no memory while nothing comes.
pub struct Incoming {
    socket: OwnedReadHalf,
    /// What came with the request.
    first: Bytes,
    /// More is there than was read: whoever else is on this thread goes first.
    full: bool,
}

impl Incoming {
    pub fn new(socket: OwnedReadHalf, first: Bytes) -> Self {
        Self {
            socket,
            first,
            full: false,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            self.full = buffer.remaining() == 0;
            Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
        })
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.first))));
        }
        // a reader that reads for as long as there is something would never end with a fast client
        if std::mem::take(&mut this.full) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match ready!(this.read(cx)) {
            Ok(bytes) if bytes.is_empty() => Poll::Ready(None),
            Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
            Err(error) => Poll::Ready(Some(Err(PayloadError::Io(error)))),
        }
    }
}
