//! What a client sends: frames, put together to messages. Between messages it holds no memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Codec, Frame, Item};
use actix_web::dev::Payload;
use actix_ws::ProtocolError;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;
use tokio_util::codec::Decoder as _;

/// A whole message, or a control frame.
#[derive(Debug)]
pub enum Message {
    Text(ByteString),
    Binary,
    Ping(Bytes),
    Pong,
    Close,
}

/// A client's messages.
pub struct Reader {
    payload: Payload,
    codec: Codec,
    read: BytesMut,
    /// A message of which more is to come, and whether it is text.
    begun: Option<(bool, BytesMut)>,
    max_message: usize,
}

impl Reader {
    /// Refuses frames, and messages of several frames, of more than `max_message` bytes.
    pub fn new(payload: Payload, max_message: usize) -> Self {
        Self {
            payload,
            codec: Codec::new().max_size(max_message),
            read: BytesMut::new(),
            begun: None,
            max_message,
        }
    }

    /// The message that a frame is, or ends.
    fn message(&mut self, frame: Frame) -> Result<Option<Message>, ProtocolError> {
        Ok(Some(match frame {
            Frame::Text(bytes) => Message::Text(text(bytes)?),
            Frame::Binary(_) => Message::Binary,
            Frame::Ping(payload) => Message::Ping(payload),
            Frame::Pong(_) => Message::Pong,
            Frame::Close(_) => Message::Close,
            Frame::Continuation(item) => return self.part(item),
        }))
    }

    fn part(&mut self, item: Item) -> Result<Option<Message>, ProtocolError> {
        let (part, last) = match item {
            Item::FirstText(part) => {
                self.begun = Some((true, part.into()));
                return Ok(None);
            }
            Item::FirstBinary(part) => {
                self.begun = Some((false, part.into()));
                return Ok(None);
            }
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        // the codec has seen the first one
        let (is_text, begun) = self
            .begun
            .as_mut()
            .ok_or(ProtocolError::ContinuationNotStarted)?;
        if begun.len() + part.len() > self.max_message {
            return Err(ProtocolError::Overflow);
        }
        begun.extend_from_slice(&part);
        if !last {
            return Ok(None);
        }
        let (is_text, whole) = (*is_text, std::mem::take(begun).freeze());
        self.begun = None;
        Ok(Some(if is_text {
            Message::Text(text(whole)?)
        } else {
            Message::Binary
        }))
    }
}

fn text(bytes: Bytes) -> Result<ByteString, ProtocolError> {
    ByteString::try_from(bytes)
        .map_err(|error| ProtocolError::Io(io::Error::new(io::ErrorKind::InvalidData, error)))
}

impl Stream for Reader {
    type Item = Result<Message, ProtocolError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.codec.decode(&mut this.read) {
                Ok(Some(frame)) => match this.message(frame).transpose() {
                    Some(message) => return Poll::Ready(Some(message)),
                    None => continue,
                },
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match ready!(Pin::new(&mut this.payload).poll_next(cx)) {
                // what came in one piece and is read in one piece needs no second buffer
                Some(Ok(bytes)) if this.read.is_empty() => this.read = bytes.into(),
                Some(Ok(bytes)) => this.read.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(ProtocolError::Io(io::Error::other(error)))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}
