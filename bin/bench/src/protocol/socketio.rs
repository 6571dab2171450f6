//! Packets of Socket.IO (Engine.IO 4 over WebSocket), in the words of the dialect `connexus`.

use serde_json::json;

use super::{Heard, quoted};

pub fn hello(token: &str) -> String {
    format!("40{}", json!({ "token": token }))
}

pub fn message(conversation: &str, key: &str, text: &str) -> String {
    format!(
        r#"42["send_message",{{"conversationId":"{conversation}","content":"{text}","tempId":"{key}"}}]"#
    )
}

pub fn typing(conversation: &str) -> String {
    format!(r#"42["typing_start",{{"conversationId":"{conversation}"}}]"#)
}

pub fn read(conversation: &str) -> String {
    format!(r#"42["mark_message_read",{{"conversationId":"{conversation}"}}]"#)
}

pub fn hear(frame: &str) -> Heard<'_> {
    let Some(event) = frame.strip_prefix(r#"42[""#) else {
        return match frame {
            "2" => Heard::Ping,
            _ if frame.starts_with("40") => Heard::Welcome,
            // a refused handshake, or a namespace that was left
            _ if frame.starts_with("44") || frame.starts_with("41") => Heard::Refused { key: None },
            _ => Heard::Other,
        };
    };
    let key = || quoted(event, r#""tempId":""#);
    match event.split_once('"').map(|(name, _)| name) {
        Some("new_message") => quoted(event, r#""content":""#)
            .map_or(Heard::Other, |text| Heard::Message { text, seq: None }),
        Some("message_sent") => key().map_or(Heard::Other, |key| Heard::Stored { key }),
        Some("error") => Heard::Refused { key: key() },
        Some("user_typing" | "user_stop_typing" | "message_read") => Heard::Chatter,
        _ => Heard::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(hear("2"), Heard::Ping);
        assert_eq!(hear(r#"40{"sid":"s"}"#), Heard::Welcome);
        assert_eq!(hear(r#"44{"message":"no"}"#), Heard::Refused { key: None });
        assert_eq!(hear(r#"0{"sid":"s"}"#), Heard::Other);
        let message = Heard::Message {
            text: "1.2 x",
            seq: None,
        };
        assert_eq!(
            hear(r#"42["new_message",{"message":{"content":"1.2 x","type":"text"}}]"#),
            message
        );
        assert_eq!(
            hear(r#"42["message_sent",{"message":{"content":"x"},"tempId":"a-1"}]"#),
            Heard::Stored { key: "a-1" }
        );
        assert_eq!(
            hear(r#"42["error",{"message":"no","tempId":"a-1"}]"#),
            Heard::Refused { key: Some("a-1") }
        );
        assert_eq!(hear(r#"42["user_typing",{}]"#), Heard::Chatter);
        assert_eq!(hear(r#"42["user_online",{}]"#), Heard::Other);
    }
}
