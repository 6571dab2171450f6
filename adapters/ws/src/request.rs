//! Client frames: what is read of them.

use connexus_domain::ports::LimitClass;
use connexus_domain::{ConversationId, Error, MessageId, MessageKind, Result, Seq};
use connexus_wire::{ErrorCode, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::answer::{failure, refusal};

/// Longest `id` of a frame, in bytes as it stands in the JSON.
const ID_MAX: usize = 256;

/// A frame that is well-formed.
pub struct Request<'a> {
    pub id: Option<&'a RawValue>,
    pub op: Op,
    pub text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Op {
    #[serde(rename = "auth")]
    Auth,
    #[serde(rename = "message.send")]
    Send,
    #[serde(rename = "message.edit")]
    Edit,
    #[serde(rename = "message.delete")]
    Delete,
    #[serde(rename = "reaction.add")]
    React,
    #[serde(rename = "reaction.remove")]
    Unreact,
    #[serde(rename = "conversation.read")]
    Read,
    #[serde(rename = "typing.start")]
    TypingStart,
    #[serde(rename = "typing.stop")]
    TypingStop,
    #[serde(rename = "status.set")]
    SetStatus,
    #[serde(rename = "room.join")]
    Join,
    #[serde(rename = "conversation.leave")]
    Leave,
    #[serde(rename = "sync")]
    Sync,
    #[serde(rename = "ping")]
    Ping,
}

impl Op {
    pub fn is_sync(self) -> bool {
        self == Self::Sync
    }

    pub fn is_auth(self) -> bool {
        self == Self::Auth
    }

    /// What a request counts as; a ping counts as a frame alone.
    pub fn limit_class(self) -> Option<LimitClass> {
        match self {
            Self::Auth | Self::Ping => None,
            Self::Send | Self::Edit | Self::Delete | Self::React | Self::Unreact => {
                Some(LimitClass::Send)
            }
            _ => Some(LimitClass::General),
        }
    }
}

/// Reads a frame; an error answer when it is none.
pub fn parse(text: &str) -> std::result::Result<Request<'_>, Vec<u8>> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        op: Option<&'a RawValue>,
    }
    let head: Head = serde_json::from_str(text).map_err(|error| {
        let problem = Problem::new(
            ErrorCode::Malformed,
            format!("not a JSON object with an op: {error}"),
        );
        refusal(None, &problem)
    })?;
    let id = head.id.filter(|id| id.get() != "null");
    if let Some(long) = id
        && (long.get().len() > ID_MAX || long.get().starts_with(['{', '[']))
    {
        return Err(failure(
            None,
            &Error::invalid("id", "must be a text or a number of at most 256 bytes"),
        ));
    }
    let op = head.op.and_then(|op| serde_json::from_str(op.get()).ok());
    match op {
        Some(op) => Ok(Request { id, op, text }),
        None => Err(failure(
            id,
            &Error::invalid("op", "is missing or there is no such op"),
        )),
    }
}

#[derive(Deserialize)]
pub struct InConversation {
    pub conversation_id: String,
}

impl InConversation {
    pub fn conversation(&self) -> Result<ConversationId> {
        parsed("conversation_id", &self.conversation_id)
    }
}

#[derive(Deserialize)]
pub struct OfMessage {
    pub message_id: String,
}

impl OfMessage {
    pub fn message(&self) -> Result<MessageId> {
        parsed("message_id", &self.message_id)
    }
}

#[derive(Deserialize)]
pub struct WithBody {
    pub message_id: String,
    pub body: String,
}

impl WithBody {
    pub fn message(&self) -> Result<MessageId> {
        parsed("message_id", &self.message_id)
    }
}

#[derive(Deserialize)]
pub struct WithEmoji {
    pub message_id: String,
    pub emoji: String,
}

impl WithEmoji {
    pub fn message(&self) -> Result<MessageId> {
        parsed("message_id", &self.message_id)
    }
}

#[derive(Deserialize)]
pub struct SetStatus {
    pub status: String,
    #[serde(default)]
    pub status_text: Option<String>,
}

#[derive(Deserialize)]
pub struct ReadUpTo {
    pub conversation_id: String,
    #[serde(default)]
    pub seq: Option<Seq>,
    #[serde(default)]
    pub message_id: Option<String>,
}

pub enum UpTo {
    Seq(Seq),
    Message(MessageId),
}

impl ReadUpTo {
    pub fn checked(&self) -> Result<(ConversationId, UpTo)> {
        let conversation = parsed("conversation_id", &self.conversation_id)?;
        let up_to = match (self.seq, &self.message_id) {
            (Some(seq), None) => UpTo::Seq(seq),
            (None, Some(message)) => UpTo::Message(parsed("message_id", message)?),
            _ => {
                return Err(Error::invalid(
                    "seq",
                    "either seq or message_id must be given",
                ));
            }
        };
        Ok((conversation, up_to))
    }
}

pub fn kind(word: &str) -> Result<MessageKind> {
    MessageKind::parse(word)
        .ok_or_else(|| Error::invalid("kind", "must be text, image, video, audio or file"))
}

pub fn parsed<T: std::str::FromStr>(field: &str, text: &str) -> Result<T> {
    text.parse()
        .ok()
        .ok_or_else(|| Error::invalid(field, "must be an id"))
}

/// The fields of an op; a wrong one is named.
pub fn fields<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        // a missing field is named by the reason alone
        let missing = reason
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'));
        match missing {
            Some((field, _)) => Error::invalid(field, "is required"),
            None => Error::invalid(path, without_place(&reason)),
        }
    })
}

/// A parser's message without its line and column, which say nothing about one frame.
pub fn without_place(reason: &str) -> &str {
    reason
        .split_once(" at line ")
        .map_or(reason, |(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_is_told_apart() {
        let told = |text: &str| String::from_utf8(parse(text).err().unwrap()).unwrap();
        assert!(told("{").contains("malformed"));
        assert!(told("[]").contains("\"ok\":false"));
        assert!(told("\"x\"").contains("malformed"));
        assert!(told(r#"{"id":"1"}"#).starts_with(r#"{"id":"1","ok":false"#));
        assert!(told(r#"{"id":"1","op":{"$gt":""}}"#).contains("\"field\":\"op\""));
        assert!(told(r#"{"id":{"a":1},"op":"ping"}"#).contains("\"field\":\"id\""));
        assert!(parse(r#"{"op":"ping"}"#).is_ok());
    }

    #[test]
    fn a_wrong_field_is_named() {
        let named = |text: &str| match fields::<WithBody>(text) {
            Err(Error::Invalid(fields)) => fields[0].field.clone(),
            _ => panic!("{text}"),
        };
        assert_eq!(named(r#"{"message_id":"x","body":{"$gt":""}}"#), "body");
        assert_eq!(named(r#"{"body":"x"}"#), "message_id");
    }
}
