//! The two protocols, each as the frames that a client writes and what it hears in those that come.

mod native;
mod socketio;

use clap::ValueEnum;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The native WebSocket.
    Native,
    /// Socket.IO over WebSocket, dialect `connexus`.
    Socketio,
}

/// What a frame says, as far as a measurement wants to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Somebody's message: its text, and its number in the conversation where the protocol tells it.
    Message { text: &'a str, seq: Option<u64> },
    /// An own message is stored: which one, by the key it was sent with.
    Stored { key: &'a str },
    /// Something was refused; an own message when there is a key.
    Refused { key: Option<&'a str> },
    /// Somebody writes, has stopped, or has read.
    Chatter,
    /// The socket is open and its user known.
    Welcome,
    /// To be answered with [`Protocol::PONG`].
    Ping,
    /// Anything else.
    Other,
}

impl Protocol {
    /// The answer to a ping that is a message of its own.
    pub const PONG: &str = "3";

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Socketio => "socketio",
        }
    }

    /// Longest text of a message, in characters.
    pub fn text_max(self) -> usize {
        match self {
            Self::Native => 8_000,
            Self::Socketio => 2_000,
        }
    }

    /// Path and query of the socket.
    pub fn path(self) -> &'static str {
        match self {
            Self::Native => "/v1/ws",
            Self::Socketio => "/connexus/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// The header that says whose the socket is, where a header does.
    pub fn authorization(self, token: &str) -> anyhow::Result<Option<HeaderValue>> {
        Ok(match self {
            Self::Native => Some(HeaderValue::from_str(&format!("Bearer {token}"))?),
            Self::Socketio => None,
        })
    }

    /// The first frame: its answer is the [`Heard::Welcome`].
    pub fn hello(self, token: &str) -> String {
        match self {
            Self::Native => native::HELLO.to_owned(),
            Self::Socketio => socketio::hello(token),
        }
    }

    pub fn message(self, conversation: &str, key: &str, text: &str) -> String {
        match self {
            Self::Native => native::message(conversation, key, text),
            Self::Socketio => socketio::message(conversation, key, text),
        }
    }

    pub fn typing(self, conversation: &str) -> String {
        match self {
            Self::Native => native::typing(conversation),
            Self::Socketio => socketio::typing(conversation),
        }
    }

    /// Everything is read, up to `seq` where the protocol wants to know.
    pub fn read(self, conversation: &str, seq: u64) -> String {
        match self {
            Self::Native => native::read(conversation, seq),
            Self::Socketio => socketio::read(conversation),
        }
    }

    pub fn hear(self, frame: &str) -> Heard<'_> {
        match self {
            Self::Native => native::hear(frame),
            Self::Socketio => socketio::hear(frame),
        }
    }
}

/// The text between `before` and the next quotation mark. What is looked for has no escapes.
fn quoted<'a>(frame: &'a str, before: &str) -> Option<&'a str> {
    let rest = &frame[frame.find(before)? + before.len()..];
    rest.split_once('"').map(|(text, _)| text)
}

fn number(frame: &str, before: &str) -> Option<u64> {
    let rest = &frame[frame.find(before)? + before.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}
