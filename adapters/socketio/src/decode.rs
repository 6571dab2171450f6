//! What a client sends, as packets. The splitting is done by `socketioxide-parser-common`; what it lets
//! through is held to the protocol here.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse as _, ParseConfig, ParseError, ParserState};
use socketioxide_core::{Str, Value as Payload};
use socketioxide_parser_common::CommonParser;

use crate::engine::Message;
use crate::settings::Settings;

/// How long the attachments of a packet may take.
const COMPLETION: Duration = Duration::from_mins(1);
/// Longest name of a namespace, in bytes.
const NAMESPACE_MAX: usize = 256;

/// A packet of a client.
#[derive(Debug, PartialEq)]
pub struct Incoming {
    pub namespace: Str,
    pub data: Data,
}

#[derive(Debug, PartialEq)]
pub enum Data {
    Connect(Value),
    Disconnect,
    Event {
        name: String,
        args: Vec<Value>,
        attachments: Vec<Bytes>,
        id: Option<u64>,
    },
    Ack {
        id: u64,
        args: Vec<Value>,
        attachments: Vec<Bytes>,
    },
}

/// The protocol does not allow this packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Puts packets and their attachments together.
pub struct Decoder {
    config: ParseConfig,
    state: ParserState,
}

impl Decoder {
    pub fn new(settings: &Settings) -> Self {
        Self {
            config: ParseConfig {
                max_incoming_binary_buf_size: settings.max_attachment_bytes,
                max_incoming_binaries: settings.max_attachments,
                packet_completion_timeout: COMPLETION,
            },
            state: ParserState::default(),
        }
    }

    /// `None` when attachments are still to come.
    pub fn decode(&self, message: Message) -> Result<Option<Incoming>, Malformed> {
        let decoded = match message {
            Message::Text(text) => {
                let lost_id = has_lost_id(&text);
                let text = Str::from(String::from(&*text));
                let decoded = CommonParser.decode_str(&self.config, &self.state, text);
                if lost_id {
                    return Err(Malformed);
                }
                decoded
            }
            Message::Binary(bytes) => CommonParser.decode_bin(&self.config, &self.state, bytes),
        };
        match decoded {
            Ok(packet) => incoming(packet.ns, packet.inner).map(Some),
            Err(ParseError::NeedsMoreBinaryData) => Ok(None),
            Err(error) => {
                tracing::debug!(%error, "a malformed packet");
                Err(Malformed)
            }
        }
    }
}

/// Whether the packet has an id that is no number of 63 bits: the parser takes that for none.
fn has_lost_id(text: &str) -> bool {
    let mut rest = text.get(1..).unwrap_or_default();
    if text.starts_with(['5', '6']) {
        rest = rest.split_once('-').map_or("", |(_, rest)| rest);
    }
    if rest.starts_with('/') {
        rest = rest.split_once(',').map_or("", |(_, rest)| rest);
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest[..digits].parse::<i64>().is_err()
}

fn incoming(namespace: Str, data: PacketData) -> Result<Incoming, Malformed> {
    if namespace.len() > NAMESPACE_MAX {
        return Err(Malformed);
    }
    let data = match data {
        PacketData::Connect(auth) => Data::Connect(match auth {
            Some(auth) => json(&auth)?,
            None => Value::Null,
        }),
        PacketData::Disconnect => Data::Disconnect,
        PacketData::Event(payload, id) | PacketData::BinaryEvent(payload, id) => {
            let (mut args, attachments) = arguments(payload)?;
            if args.is_empty() {
                return Err(Malformed);
            }
            let name = match args.remove(0) {
                Value::String(name) => name,
                Value::Number(name) => name.to_string(),
                _ => return Err(Malformed),
            };
            Data::Event {
                name,
                args,
                attachments,
                id: id.map(number).transpose()?,
            }
        }
        PacketData::EventAck(payload, id) | PacketData::BinaryAck(payload, id) => {
            let (args, attachments) = arguments(payload)?;
            let id = number(id)?;
            Data::Ack {
                id,
                args,
                attachments,
            }
        }
        PacketData::ConnectError(_) => return Err(Malformed),
    };
    Ok(Incoming { namespace, data })
}

fn number(id: i64) -> Result<u64, Malformed> {
    u64::try_from(id).map_err(|_negative| Malformed)
}

/// Auth must be an object, as the protocol has it.
fn json(payload: &Payload) -> Result<Value, Malformed> {
    let text = payload.as_str().ok_or(Malformed)?;
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Null)) => Ok(value),
        _ => Err(Malformed),
    }
}

fn arguments(payload: Payload) -> Result<(Vec<Value>, Vec<Bytes>), Malformed> {
    let Payload::Str(text, attachments) = payload else {
        return Err(Malformed);
    };
    let args = serde_json::from_str(&text).map_err(|error| {
        tracing::debug!(%error, "arguments that are no JSON list");
        Malformed
    })?;
    let attachments = attachments.map(Vec::from).unwrap_or_default();
    Ok((args, attachments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Option<Incoming>, Malformed> {
        Decoder::new(&Settings::default()).decode(Message::Text(text.into()))
    }

    #[test]
    fn ids_are_kept_or_refused() {
        let id = |text| match decode(text) {
            Ok(Some(Incoming {
                data: Data::Event { id, .. },
                ..
            })) => Ok(id),
            _ => Err(Malformed),
        };
        assert_eq!(id(r#"2["a"]"#), Ok(None));
        assert_eq!(id(r#"212["a"]"#), Ok(Some(12)));
        assert_eq!(id(r#"2/n,12["a"]"#), Ok(Some(12)));
        assert_eq!(
            id(r#"29223372036854775807["a"]"#),
            Ok(Some(i64::MAX as u64))
        );
        for bad in [
            r#"29223372036854775808["a"]"#,
            r#"2/n,99999999999999999999999999["a"]"#,
            r#"51-99999999999999999999["a"]"#,
            r#"2-1["a"]"#,
            r#"2abc["a"]"#,
        ] {
            assert_eq!(id(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn malformed_packets() {
        let deep = format!("2[\"a\",{}{}]", "[".repeat(50_000), "]".repeat(50_000));
        let long = format!("0/{},", "n".repeat(300));
        for bad in [
            "",
            "abc",
            "2",
            "2{}",
            "2[]",
            "2[null]",
            "2[[]]",
            "2[\"a\"",
            "2[\"a\",1e999]",
            "3[]",
            "4{}",
            "5[\"a\"]",
            "5-[\"a\"]",
            "511-[\"a\"]",
            "0[]",
            "0\"x\"",
            "0/n,x",
            "7",
            "é",
            "2é",
            "2[\"a\"]x",
            &deep,
            &long,
        ] {
            assert_eq!(decode(bad), Err(Malformed), "{}", &bad[..bad.len().min(20)]);
        }
    }

    #[test]
    fn attachments_follow_their_packet() {
        let decoder = Decoder::new(&Settings::default());
        let binary = |bytes: &'static [u8]| Message::Binary(Bytes::from_static(bytes));
        assert_eq!(decoder.decode(binary(b"x")), Err(Malformed));
        assert_eq!(decoder.decode(Message::Text("62-/n,3[1]".into())), Ok(None));
        assert_eq!(decoder.decode(binary(b"x")), Ok(None));
        let Ok(Some(Incoming {
            data: Data::Ack {
                id, attachments, ..
            },
            ..
        })) = decoder.decode(binary(b"y"))
        else {
            panic!("an acknowledgement");
        };
        assert_eq!((id, attachments.len()), (3, 2));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[0-9]{0,2}-?(/[a-zé]{0,3},?)?[0-9]{0,25}.{0,20}", bytes: Vec<u8>) {
            let decoder = Decoder::new(&Settings::default());
            let _ = decoder.decode(Message::Text(text.into()));
            let _ = decoder.decode(Message::Binary(bytes.into()));
        }
    }
}
