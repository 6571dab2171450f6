//! What several modules look for in answers.

use std::collections::BTreeSet;

use serde_json::Value;

/// The text of `key` in each item.
pub fn texts(items: &[Value], key: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| {
            item[key]
                .as_str()
                .unwrap_or_else(|| panic!("no {key} in {item}"))
                .to_owned()
        })
        .collect()
}

/// The number of `key` in each item.
pub fn numbers(items: &[Value], key: &str) -> Vec<i64> {
    items
        .iter()
        .map(|item| {
            item[key]
                .as_i64()
                .unwrap_or_else(|| panic!("no {key} in {item}"))
        })
        .collect()
}

/// The items of a list.
pub fn items(page: &Value) -> Vec<Value> {
    page["items"]
        .as_array()
        .unwrap_or_else(|| panic!("no list: {page}"))
        .clone()
}

/// The keys of an object.
pub fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap_or_else(|| panic!("no object: {object}"))
        .keys()
        .map(String::as_str)
        .collect()
}

/// Checks that an object has exactly these keys.
#[track_caller]
pub fn assert_keys(object: &Value, expected: &[&str]) {
    assert_eq!(keys(object), expected.iter().copied().collect(), "{object}");
}

/// The id of an object.
pub fn id(object: &Value) -> String {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {object}"))
        .to_owned()
}

/// Checks a time: RFC 3339 in UTC with milliseconds.
#[track_caller]
pub fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "9999-99-99T99:99:99.999Z", "{text}");
}

/// The parts of a user that everybody may see.
pub const USER_KEYS: [&str; 9] = [
    "id",
    "username",
    "display_name",
    "avatar_url",
    "bio",
    "status",
    "status_text",
    "last_seen_at",
    "created_at",
];

/// The parts of a conversation.
pub const CONVERSATION_KEYS: [&str; 15] = [
    "id",
    "kind",
    "slug",
    "name",
    "description",
    "avatar_url",
    "created_by",
    "created_at",
    "last_activity_at",
    "last_seq",
    "rev",
    "member_count",
    "last_message",
    "peer",
    "me",
];

/// The parts of a message.
pub const MESSAGE_KEYS: [&str; 16] = [
    "id",
    "conversation_id",
    "seq",
    "rev",
    "sender_id",
    "kind",
    "body",
    "attachments",
    "reply_to",
    "thread_id",
    "reply_count",
    "reactions",
    "client_id",
    "created_at",
    "edited_at",
    "deleted_at",
];
