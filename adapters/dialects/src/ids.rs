//! Ids as clients write them: UUIDs, and the 24 hexadecimal digits of imported MongoDB data.

use connexus_domain::{Entity, Error, Result};
use serde_json::Value;
use uuid::Uuid;

/// What an ObjectId's twelve bytes are put between: a UUID of version 8 (RFC 9562), which no id that is
/// made here can be.
const HEAD: u128 = 0x8c0e << 64;
const TAIL: u128 = 0x8c0e << 48;

/// The UUID of an id: of a UUID itself, or of an ObjectId, which always becomes the same one.
pub fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 24 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let object_id = u128::from_str_radix(text, 16).ok()?;
        let (high, low) = (object_id >> 48, object_id & 0xffff_ffff_ffff);
        return Some(Uuid::from_u128((high << 80) | HEAD | TAIL | low));
    }
    Uuid::try_parse(text).ok()
}

/// An id of one kind, or the news that there is no such thing: what is no id names nothing.
pub fn parse<T: std::str::FromStr>(text: &str, entity: Entity) -> Result<T> {
    uuid(text)
        .and_then(|uuid| uuid.to_string().parse().ok())
        .ok_or(Error::NotFound(entity))
}

/// An id where front ends send either the id or the whole object that has it.
pub fn of_value(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(object) => ["_id", "id"]
            .into_iter()
            .find_map(|key| object.get(key)?.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_becomes_one_uuid_and_no_other() {
        let one = uuid("507f1f77bcf86cd799439011").unwrap();
        assert_eq!(uuid("507F1F77BCF86CD799439011").unwrap(), one);
        assert_ne!(uuid("507f1f77bcf86cd799439012").unwrap(), one);
        assert_eq!(one.get_version_num(), 8);
        assert_eq!(one.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(uuid(&one.to_string()), Some(one));
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        for text in ["", "general", "507f1f77bcf86cd79943901", "ffff", "null"] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }
}
