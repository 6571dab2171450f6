//! Frames of the native WebSocket. Keys come in a fixed order, so that few bytes of a frame are looked at.

use super::{Heard, number, quoted};

/// The socket is authenticated by its header; that an answer comes shows it.
pub const HELLO: &str = r#"{"id":"hello","op":"ping"}"#;
const CHATTER: &str = "chatter";

pub fn message(conversation: &str, key: &str, text: &str) -> String {
    format!(
        r#"{{"id":"{key}","op":"message.send","conversation_id":"{conversation}","body":"{text}","client_id":"{key}"}}"#
    )
}

pub fn typing(conversation: &str) -> String {
    format!(r#"{{"id":"{CHATTER}","op":"typing.start","conversation_id":"{conversation}"}}"#)
}

pub fn read(conversation: &str, seq: u64) -> String {
    format!(
        r#"{{"id":"{CHATTER}","op":"conversation.read","conversation_id":"{conversation}","seq":{seq}}}"#
    )
}

pub fn hear(frame: &str) -> Heard<'_> {
    if let Some(event) = frame.strip_prefix(r#"{"event":""#) {
        return if event.starts_with("message.created\"") {
            quoted(event, r#""body":""#).map_or(Heard::Other, |text| Heard::Message {
                text,
                seq: number(event, r#""seq":"#),
            })
        } else if event.starts_with("typing\"") || event.starts_with("receipt.updated\"") {
            Heard::Chatter
        } else {
            Heard::Other
        };
    }
    let Some((id, answer)) = frame
        .strip_prefix(r#"{"id":""#)
        .and_then(|rest| rest.split_once('"'))
    else {
        return Heard::Other;
    };
    match (id, answer.starts_with(r#","ok":true"#)) {
        ("hello", true) => Heard::Welcome,
        (CHATTER, true) => Heard::Other,
        (CHATTER | "hello", false) => Heard::Refused { key: None },
        (key, true) => Heard::Stored { key },
        (key, false) => Heard::Refused { key: Some(key) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let frame = r#"{"event":"message.created","conversation_id":"c","rev":9,"data":{"id":"m","seq":12,"rev":9,"body":"1.2 x","attachments":[]}}"#;
        let message = Heard::Message {
            text: "1.2 x",
            seq: Some(12),
        };
        assert_eq!(hear(frame), message);
        assert_eq!(hear(r#"{"event":"typing","data":{}}"#), Heard::Chatter);
        assert_eq!(
            hear(r#"{"event":"presence.updated","data":{}}"#),
            Heard::Other
        );
        assert_eq!(
            hear(r#"{"id":"a-1","ok":true,"data":{}}"#),
            Heard::Stored { key: "a-1" }
        );
        assert_eq!(
            hear(r#"{"id":"a-1","ok":false,"error":{}}"#),
            Heard::Refused { key: Some("a-1") }
        );
        assert_eq!(
            hear(r#"{"id":"chatter","ok":false,"error":{}}"#),
            Heard::Refused { key: None }
        );
        assert_eq!(hear(r#"{"id":"hello","ok":true}"#), Heard::Welcome);
        assert_eq!(hear("rubbish"), Heard::Other);
    }
}
