//! What a client sends: frames, put together to messages. Between messages it holds no memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;

/// A whole message, or a control frame.
#[derive(Debug)]
pub enum Message {
    /// Of text.
    Text(ByteString),
    /// Of binary data.
    Binary(Bytes),
    /// To be answered with the same.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// The other side closes.
    Close,
}

/// A client's messages. What is no text although it says so is an error of kind `InvalidData`.
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
            Frame::Binary(bytes) => Message::Binary(bytes),
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
            Message::Binary(whole)
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

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A client's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126);
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m);
        let mut frame = vec![first, 0x80 | length];
        frame.extend(MASK);
        frame.extend(masked);
        frame
    }

    /// What is read of bytes that come in pieces of `size`.
    async fn read(bytes: &[u8], size: usize) -> Vec<String> {
        let pieces: Vec<_> = bytes
            .chunks(size)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let payload = Payload::from(stream::iter(pieces).boxed_local());
        Reader::new(payload, 8)
            .map(|message| match message {
                Ok(Message::Text(text)) => text.to_string(),
                other => format!("{other:?}"),
            })
            .take(8)
            .collect()
            .await
    }

    #[actix_web::test]
    async fn messages_come_whole_however_they_were_cut() {
        let mut bytes = frame(0x81, b"one");
        bytes.extend(frame(0x01, b"t"));
        bytes.extend(frame(0x89, b"hm"));
        bytes.extend(frame(0x00, b"w"));
        bytes.extend(frame(0x80, b"o"));
        bytes.extend(frame(0x02, b"b"));
        bytes.extend(frame(0x80, b"b"));
        for size in [1, 3, 1_000] {
            let read = read(&bytes, size).await;
            assert_eq!(
                read,
                ["one", "Ok(Ping(b\"hm\"))", "two", "Ok(Binary(b\"bb\"))"],
                "{size}"
            );
        }
    }

    #[actix_web::test]
    async fn what_is_too_big_is_an_error_in_one_frame_and_in_several() {
        let one = read(&frame(0x81, b"123456789"), 100).await;
        assert_eq!(one[0], "Err(Overflow)");
        let mut several = frame(0x01, b"12345");
        several.extend(frame(0x80, b"6789"));
        assert_eq!(read(&several, 100).await[0], "Err(Overflow)");
    }

    #[actix_web::test]
    async fn text_is_utf_8() {
        let read = read(&frame(0x81, &[0xff]), 100).await;
        assert!(read[0].contains("InvalidData"), "{read:?}");
    }
}
