//! Engine.IO packets as they are sent: bytes that start with the header of a WebSocket frame (RFC 6455,
//! 5.2: final, unmasked, in the shortest length form), which polling leaves out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes};

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xA;
/// Longest header of a server's frame, in bytes.
const HEADER_MAX: usize = 10;
/// Longest payload of a control frame, in bytes (5.5).
const CONTROL_MAX: usize = 125;

/// A message that is encoded for both transports. Clones share its bytes.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Bytes,
    header: u8,
    kind: FrameKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Text,
    Binary,
    /// Of WebSocket itself; polling does not know it.
    Control,
}

impl Frame {
    /// A text message.
    pub fn text(message: &str) -> Self {
        let mut buffer = Self::reserve();
        buffer.extend_from_slice(message.as_bytes());
        Self::reserved(buffer)
    }

    /// A binary message.
    pub fn binary(message: &[u8]) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_MAX + message.len());
        buffer.resize(HEADER_MAX, 0);
        buffer.extend_from_slice(message);
        Self::finish(buffer, BINARY, FrameKind::Binary)
    }

    /// A packet that is no message: `2` is a ping, `3probe` the answer to a probe.
    pub(crate) fn packet(packet: &str) -> Self {
        let mut buffer = vec![0; HEADER_MAX];
        buffer.extend_from_slice(packet.as_bytes());
        Self::finish(buffer, TEXT, FrameKind::Text)
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        let mut buffer = vec![0; HEADER_MAX];
        buffer.put_u16(code);
        buffer.extend_from_slice(reason.as_bytes());
        buffer.truncate(HEADER_MAX + CONTROL_MAX);
        Self::finish(buffer, CLOSE, FrameKind::Control)
    }

    pub(crate) fn pong(payload: &[u8]) -> Self {
        let mut buffer = vec![0; HEADER_MAX];
        buffer.extend_from_slice(&payload[..payload.len().min(CONTROL_MAX)]);
        Self::finish(buffer, PONG, FrameKind::Control)
    }

    /// A buffer for a text message: room for the header, and the packet's type.
    pub(crate) fn reserve() -> Vec<u8> {
        let mut buffer = Vec::with_capacity(128);
        buffer.resize(HEADER_MAX, 0);
        buffer.push(b'4');
        buffer
    }

    /// A text message that was written to a [reserved](Self::reserve) buffer.
    pub(crate) fn reserved(buffer: Vec<u8>) -> Self {
        Self::finish(buffer, TEXT, FrameKind::Text)
    }

    fn finish(mut buffer: Vec<u8>, opcode: u8, kind: FrameKind) -> Self {
        let length = buffer.len() - HEADER_MAX;
        let mut header = [0; HEADER_MAX];
        header[0] = FINAL | opcode;
        let used: u8 = if let Ok(short) = u8::try_from(length)
            && short < 126
        {
            header[1] = short;
            2
        } else if let Ok(medium) = u16::try_from(length) {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        } else {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        };
        let start = HEADER_MAX - usize::from(used);
        buffer[start..HEADER_MAX].copy_from_slice(&header[..usize::from(used)]);
        if buffer.capacity() > 2 * buffer.len() {
            buffer.shrink_to_fit();
        }
        Self {
            bytes: Bytes::from(buffer).slice(start..),
            header: used,
            kind,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frame as WebSocket has it.
    pub(crate) fn websocket(self) -> Bytes {
        self.bytes
    }

    /// Without the header.
    pub(crate) fn content(&self) -> &[u8] {
        &self.bytes[usize::from(self.header)..]
    }

    /// Appends the packet as polling has it.
    pub(crate) fn write_polling(&self, body: &mut Vec<u8>) {
        match self.kind {
            FrameKind::Text => body.extend_from_slice(self.content()),
            FrameKind::Binary => {
                body.push(b'b');
                body.extend_from_slice(STANDARD.encode(self.content()).as_bytes());
            }
            FrameKind::Control => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = Frame::binary(&vec![b'x'; length]);
            assert_eq!(frame.content().len(), length);
            assert_eq!(frame.websocket().len(), length + header, "{length}");
        }
        let frame = Frame::binary(&[b'x'; 300]).websocket();
        assert_eq!(&frame[..4], &[0x82, 126, 1, 44]);
    }

    #[test]
    fn polling_has_base64() {
        let mut body = Vec::new();
        Frame::text("hello").write_polling(&mut body);
        Frame::binary(&[1, 2, 3, 4]).write_polling(&mut body);
        assert_eq!(body, b"4hellobAQIDBA==");
    }

    #[test]
    fn a_close_frame_has_code_and_reason() {
        let frame = Frame::close(1012, "no").websocket();
        assert_eq!(&frame[..], &[0x88, 4, 0x03, 0xF4, b'n', b'o']);
    }
}
