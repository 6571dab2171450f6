//! Server frames as bytes (RFC 6455, 5.2): final, unmasked, in the shortest length form.

use bytes::{BufMut as _, Bytes, BytesMut};

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Longest payload of a control frame, in bytes (5.5).
const CONTROL_MAX: usize = 125;

/// A text frame.
pub fn text(payload: &[u8]) -> Bytes {
    frame(TEXT, payload)
}

/// A ping.
pub fn ping() -> Bytes {
    Bytes::from_static(&[FINAL | PING, 0])
}

/// The answer to a ping: the same payload.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, &payload[..payload.len().min(CONTROL_MAX)])
}

/// The end of the connection: a code and a short ASCII reason.
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut payload = BytesMut::with_capacity(2 + reason.len());
    payload.put_u16(code);
    payload.put_slice(reason.as_bytes());
    payload.truncate(CONTROL_MAX);
    frame(CLOSE, &payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    frame.put_u8(FINAL | opcode);
    let length = payload.len();
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        frame.put_u8(short);
    } else if let Ok(medium) = u16::try_from(length) {
        frame.put_u8(126);
        frame.put_u16(medium);
    } else {
        frame.put_u8(127);
        frame.put_u64(length as u64);
    }
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = text(&vec![b'x'; length]);
            assert_eq!(frame.len(), length + header, "{length}");
            assert_eq!(frame[0], 0x81);
        }
        assert_eq!(&text(&[b'x'; 300])[..4], &[0x81, 126, 1, 44]);
    }

    #[test]
    fn a_close_frame_has_code_and_reason() {
        assert_eq!(&close(4401, "no")[..], &[0x88, 4, 0x11, 0x31, b'n', b'o']);
    }
}
