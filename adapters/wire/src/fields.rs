//! Fields of a JSON object from a client: read, checked, and refused by name, without repeating what came.

use connexus_domain::FieldError;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why fields were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is no JSON object; says where.
    Malformed(String),
    /// These fields are wrong.
    Fields(Vec<FieldError>),
}

/// The fields of a JSON text. It is read as any JSON first: what is too deep, or has half a character, is
/// refused also where it stands in a field that nobody reads.
pub fn of_json<T: DeserializeOwned + Validate<Context = ()>>(text: &[u8]) -> Result<T, Refused> {
    of_value(object(text)?)
}

/// A JSON text that must be an object.
pub fn object(text: &[u8]) -> Result<Value, Refused> {
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        Refused::Malformed(format!(
            "the body is not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refused::Malformed(
            "the body must be a JSON object".to_owned(),
        ))
    }
}

/// The fields of a JSON object.
pub fn of_value<T: DeserializeOwned + Validate<Context = ()>>(value: Value) -> Result<T, Refused> {
    // an array would be read by position, which no client means
    if !value.is_object() {
        return Err(Refused::Malformed(
            "the body must be a JSON object".to_owned(),
        ));
    }
    let fields: T = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        Refused::Fields(vec![wrong_field(&path, &error.into_inner().to_string())])
    })?;
    match fields.validate() {
        Ok(()) => Ok(fields),
        Err(report) => Err(Refused::Fields(
            report
                .iter()
                .map(|(path, error)| FieldError {
                    field: path.to_string(),
                    reason: error.to_string(),
                })
                .collect(),
        )),
    }
}

/// Says what serde found wrong in a client's words, and without repeating what the client sent.
fn wrong_field(path: &str, message: &str) -> FieldError {
    let parent = if path == "." { "" } else { path };
    let dot = if parent.is_empty() { "" } else { "." };
    let quoted = |start| {
        let rest: Option<&str> = message.strip_prefix(start);
        rest.and_then(|rest| rest.split('`').next())
    };
    if let Some(name) = quoted("missing field `") {
        return FieldError {
            field: format!("{parent}{dot}{name}"),
            reason: "is required".to_owned(),
        };
    }
    let field = if parent.is_empty() { "body" } else { parent };
    if message.starts_with("unknown field") {
        return FieldError {
            field: field.to_owned(),
            reason: "is not a field of this request".to_owned(),
        };
    }
    // what the client sent may stand before the last "expected", never after it
    let expected = message.rsplit_once(", expected ");
    let reason = match expected.map(|(_, expected)| expected.trim()) {
        _ if message.starts_with("UUID parsing failed") => "must be a UUID".to_owned(),
        Some("a formatted UUID string") => "must be a UUID".to_owned(),
        Some("i64" | "u32" | "u64") => "must be a whole number".to_owned(),
        Some(expected) => format!("must be {expected}"),
        None => "is not acceptable".to_owned(),
    };
    FieldError {
        field: field.to_owned(),
        reason,
    }
}
