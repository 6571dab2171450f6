//! As much of MongoDB's wire protocol (`OP_MSG`) and of BSON as one needs to set up a server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(30);
const OP_MSG: i32 = 2013;
/// Four numbers: length, request, answer to, operation.
const HEADER: usize = 16;
/// Largest message of a server, in bytes.
const LARGEST: usize = 48_000_000;

pub struct Connection(TcpStream);

impl Connection {
    /// To a server on loopback.
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("the server")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Runs a command; an answer that is not `ok` is an error.
    pub fn command(&mut self, database: &str, command: &Document) -> Result<Answer> {
        let command = command.clone().text("$db", database).bytes();
        // no flags, one section of kind 0: the command
        let body = [&[0_u8; 4][..], &[0], &command].concat();
        let length = length(HEADER + body.len());
        let header = [length, 1, 0, OP_MSG].map(i32::to_le_bytes).concat();
        self.0.write_all(&[header, body].concat())?;
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header)?;
        let length = usize::try_from(number(&header)?)?;
        ensure!(
            (HEADER + 5..LARGEST).contains(&length),
            "an answer of {length} bytes"
        );
        let mut body = vec![0; length - HEADER];
        self.0.read_exact(&mut body)?;
        let answer = Answer::parse(&body[5..])?;
        if answer.number("ok") != Some(1.0) {
            bail!("{}", answer.text("errmsg").unwrap_or("refused"));
        }
        Ok(answer)
    }
}

/// A BSON document that is being written.
#[derive(Debug, Clone, Default)]
pub struct Document(Vec<u8>);

impl Document {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn int(self, name: &str, value: i32) -> Self {
        self.element(0x10, name, &value.to_le_bytes())
    }

    pub fn text(self, name: &str, value: &str) -> Self {
        let size = length(value.len() + 1).to_le_bytes();
        self.element(0x02, name, &[&size, value.as_bytes(), &[0]].concat())
    }

    pub fn document(self, name: &str, value: Self) -> Self {
        self.element(0x03, name, &value.bytes())
    }

    /// An array is a document whose names are numbers.
    pub fn array(self, name: &str, values: Vec<Self>) -> Self {
        let elements = values.into_iter().enumerate();
        let array = elements.fold(Self::new(), |array, (at, value)| {
            array.document(&at.to_string(), value)
        });
        self.element(0x04, name, &array.bytes())
    }

    fn element(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.0.extend_from_slice(value);
        self
    }

    fn bytes(self) -> Vec<u8> {
        let size = length(4 + self.0.len() + 1).to_le_bytes();
        [&size, &self.0[..], &[0]].concat()
    }
}

/// What is understood of an answer: its numbers, texts and booleans, not what is inside of others.
#[derive(Debug, Default)]
pub struct Answer(Vec<(String, Value)>);

#[derive(Debug)]
enum Value {
    Number(f64),
    Text(String),
    Bool(bool),
    Other,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes.get(4..).context("a short answer")?;
        let mut answer = Self::default();
        while let Some((&kind, after)) = rest.split_first()
            && kind != 0
        {
            let end = after.iter().position(|&byte| byte == 0);
            let (name, after) = after.split_at(end.context("a short answer")?);
            let after = &after[1..];
            let size = size(kind, after)?;
            let value = after.get(..size).context("a short answer")?;
            let name = String::from_utf8_lossy(name).into_owned();
            answer.0.push((name, Value::read(kind, value)?));
            rest = &after[size..];
        }
        Ok(answer)
    }

    pub fn bool(&self, name: &str) -> Option<bool> {
        self.0.iter().find_map(|(at, value)| match value {
            Value::Bool(value) if at == name => Some(*value),
            _ => None,
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.0.iter().find_map(|(at, value)| match value {
            Value::Number(value) if at == name => Some(*value),
            _ => None,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(at, value)| match value {
            Value::Text(value) if at == name => Some(value.as_str()),
            _ => None,
        })
    }
}

impl Value {
    fn read(kind: u8, value: &[u8]) -> Result<Self> {
        Ok(match kind {
            0x01 => Self::Number(f64::from_le_bytes(value.try_into()?)),
            0x10 => Self::Number(f64::from(number(value)?)),
            // its length is in front, a zero at its end
            0x02 if value.len() > 4 => {
                Self::Text(String::from_utf8_lossy(&value[4..value.len() - 1]).into_owned())
            }
            0x08 => Self::Bool(value == [1]),
            _ => Self::Other,
        })
    }
}

/// How many bytes a value of this kind has.
fn size(kind: u8, value: &[u8]) -> Result<usize> {
    Ok(match kind {
        0x06 | 0x0a => 0,
        0x08 => 1,
        0x10 => 4,
        0x01 | 0x09 | 0x11 | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        0x02 => 4 + usize::try_from(number(value)?)?,
        0x03 | 0x04 => usize::try_from(number(value)?)?,
        0x05 => 5 + usize::try_from(number(value)?)?,
        _ => bail!("an answer with a value of the unknown kind {kind:#x}"),
    })
}

fn number(bytes: &[u8]) -> Result<i32> {
    let bytes = bytes.first_chunk().context("a short answer")?;
    Ok(i32::from_le_bytes(*bytes))
}

fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("commands are short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_as_the_standard_has_it() {
        // the first example of bsonspec's
        let document = Document::new().text("hello", "world");
        assert_eq!(
            document.bytes(),
            b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0".to_vec()
        );
        let nested = Document::new().array("a", vec![Document::new().int("b", 258)]);
        assert_eq!(
            nested.bytes(),
            b"\x1c\0\0\0\x04a\0\x14\0\0\0\x030\0\x0c\0\0\0\x10b\0\x02\x01\0\0\0\0\0".to_vec()
        );
    }

    #[test]
    fn an_answer_is_read() {
        let bytes = Document::new()
            .document("topologyVersion", Document::new().int("ok", 7))
            .array("hosts", vec![])
            .element(0x08, "isWritablePrimary", &[1])
            .element(0x11, "at", &[0; 8])
            .text("errmsg", "no")
            .element(0x01, "ok", &1.0_f64.to_le_bytes())
            .bytes();
        let answer = Answer::parse(&bytes).unwrap();
        assert_eq!(answer.bool("isWritablePrimary"), Some(true));
        assert_eq!(answer.text("errmsg"), Some("no"));
        assert_eq!(answer.number("ok"), Some(1.0));
        assert_eq!(answer.bool("ok"), None);
        for short in 5..bytes.len() - 1 {
            // no panic, whatever is missing
            let _ = Answer::parse(&bytes[..short]);
        }
    }
}
