//! Collections, what their documents must look like, and their indexes. Indexes of unique values that are
//! not ids have the same names on every backend.

use bson::{Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

/// What a readiness check writes to.
pub(crate) const HEALTH: &str = "health";

pub(crate) const MEMBERS_PRESENT: &str = "members_present";
pub(crate) const MESSAGES_SEQ: &str = "messages_conversation_seq_key";
pub(crate) const SEGMENTS_TERMS: &str = "search_segments_terms";

/// Indexes that older versions had, and their collections.
pub(crate) const FORMER: [(&str, &str); 1] = [("messages", "messages_terms")];

/// A collection, the rule for its documents, and its indexes but that of `_id`.
pub(crate) struct Shape {
    pub name: &'static str,
    pub validator: Document,
    pub indexes: Vec<IndexModel>,
}

pub(crate) fn shapes() -> [Shape; 14] {
    [
        users(),
        blocks(),
        sessions(),
        refresh_tokens(),
        conversations(),
        members(),
        messages(),
        reactions(),
        attachments(),
        leases(),
        search_segments(),
        search_heads(),
        search_state(),
        health(),
    ]
}

const ID: &str = "uuid";

/// A `$jsonSchema` of fields that must be there and of those that may be absent. The type `uuid` is binary
/// data; a `?` at the end allows null.
fn schema(required: &[(&str, &str)], optional: &[(&str, &str)]) -> Document {
    doc! { "$jsonSchema": object(required, optional) }
}

fn object(required: &[(&str, &str)], optional: &[(&str, &str)]) -> Document {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let mut properties = Document::new();
    for (name, kind) in required.iter().chain(optional) {
        properties.insert(*name, property(kind));
    }
    doc! { "bsonType": "object", "required": names, "properties": properties }
}

fn property(kind: &str) -> Document {
    let (kind, nullable) = match kind.strip_suffix('?') {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let kind = if kind == ID { "binData" } else { kind };
    if nullable {
        doc! { "bsonType": [kind, "null"] }
    } else {
        doc! { "bsonType": kind }
    }
}

/// A key of several ids.
fn with_key(validator: Document, parts: &[(&str, &str)]) -> Document {
    let mut key = object(parts, &[]);
    key.insert("additionalProperties", false);
    with_property(validator, "_id", key)
}

/// A field of any number of parts, each an object of these.
fn with_each(validator: Document, name: &str, parts: &[(&str, &str)]) -> Document {
    let each = doc! { "bsonType": "object", "additionalProperties": object(parts, &[]) };
    with_property(validator, name, each)
}

fn with_property(mut validator: Document, name: &str, property: Document) -> Document {
    if let Ok(schema) = validator.get_document_mut("$jsonSchema")
        && let Ok(properties) = schema.get_document_mut("properties")
    {
        properties.insert(name, property);
    }
    validator
}

fn index(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).build();
    IndexModel::builder().keys(keys).options(options).build()
}

fn unique(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .unique(true)
        .build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// The same index, of some documents only.
fn only(mut index: IndexModel, filter: Document) -> IndexModel {
    if let Some(options) = &mut index.options {
        options.partial_filter_expression = Some(filter);
    }
    index
}

fn users() -> Shape {
    Shape {
        name: "users",
        validator: schema(
            &[
                ("_id", ID),
                ("username", "string"),
                ("username_key", "string"),
                ("email", "string"),
                ("email_key", "string"),
                ("display_name", "string"),
                ("display_key", "string"),
                ("status", "string"),
                ("privacy", "object"),
                ("password_hash", "string"),
                ("created_at", "date"),
                ("updated_at", "date"),
            ],
            &[
                ("avatar_url", "string?"),
                ("bio", "string?"),
                ("status_text", "string?"),
                ("last_seen_at", "date?"),
            ],
        ),
        indexes: vec![
            unique("users_username_key", doc! { "username_key": 1 }),
            unique("users_email_key", doc! { "email_key": 1 }),
            index("users_display", doc! { "display_key": 1 }),
        ],
    }
}

fn blocks() -> Shape {
    Shape {
        name: "blocks",
        validator: with_key(
            schema(&[("created_at", "date")], &[]),
            &[("by", ID), ("whom", ID)],
        ),
        indexes: vec![index("blocks_order", doc! { "_id.by": 1, "_id.whom": 1 })],
    }
}

fn sessions() -> Shape {
    Shape {
        name: "sessions",
        validator: schema(
            &[
                ("_id", ID),
                ("user_id", ID),
                ("created_at", "date"),
                ("last_used_at", "date"),
                ("expires_at", "date"),
                ("ended_at", "date"),
                ("token", "binData"),
            ],
            &[("device", "string?"), ("revoked_at", "date?")],
        ),
        indexes: vec![
            only(
                index(
                    "sessions_user",
                    doc! { "user_id": 1, "last_used_at": -1, "_id": -1 },
                ),
                doc! { "revoked_at": null },
            ),
            index("sessions_ended", doc! { "ended_at": 1 }),
        ],
    }
}

fn refresh_tokens() -> Shape {
    Shape {
        name: "refresh_tokens",
        validator: schema(&[("_id", "binData"), ("session_id", ID)], &[]),
        indexes: vec![index("refresh_tokens_session", doc! { "session_id": 1 })],
    }
}

fn conversations() -> Shape {
    let live = |field: &str| doc! { field: { "$exists": true }, "deleted_at": null };
    Shape {
        name: "conversations",
        validator: with_each(
            schema(
                &[
                    ("_id", ID),
                    ("kind", "string"),
                    ("created_by", ID),
                    ("created_at", "date"),
                    ("last_activity_at", "date"),
                    ("last_seq", "long"),
                    ("rev", "long"),
                    ("changed_rev", "long"),
                    ("member_count", "long"),
                    ("deleted_at", "date?"),
                ],
                &[
                    ("direct_key", "string"),
                    ("slug", "string"),
                    ("name", "string?"),
                    ("description", "string?"),
                    ("avatar_url", "string?"),
                ],
            ),
            "sent",
            &[("seq", "long"), ("at", "date")],
        ),
        indexes: vec![
            only(
                unique("conversations_direct_key", doc! { "direct_key": 1 }),
                live("direct_key"),
            ),
            only(
                unique("conversations_slug_key", doc! { "slug": 1 }),
                live("slug"),
            ),
            only(
                index("conversations_deleted", doc! { "deleted_at": 1 }),
                doc! { "deleted_at": { "$type": "date" } },
            ),
        ],
    }
}

fn members() -> Shape {
    let present = || doc! { "left_at": null };
    Shape {
        name: "members",
        validator: with_key(
            schema(
                &[
                    ("role", "string"),
                    ("joined_at", "date"),
                    ("left_at", "date?"),
                    ("rev", "long"),
                    ("delivered_seq", "long"),
                    ("read_seq", "long"),
                    ("archived", "bool"),
                    ("pinned", "bool"),
                ],
                &[
                    ("delivered_at", "date?"),
                    ("read_at", "date?"),
                    ("muted_until", "date?"),
                ],
            ),
            &[("c", ID), ("u", ID)],
        ),
        indexes: vec![
            only(
                index("members_user", doc! { "_id.u": 1, "_id.c": 1 }),
                present(),
            ),
            only(
                index(MEMBERS_PRESENT, doc! { "_id.c": 1, "_id.u": 1 }),
                present(),
            ),
            only(
                index(
                    "members_succession",
                    doc! { "_id.c": 1, "role": 1, "joined_at": 1, "_id.u": 1 },
                ),
                present(),
            ),
            index("members_rev", doc! { "_id.c": 1, "rev": 1 }),
        ],
    }
}

fn messages() -> Shape {
    Shape {
        name: "messages",
        validator: schema(
            &[
                ("_id", ID),
                ("conversation_id", ID),
                ("seq", "long"),
                ("rev", "long"),
                ("sender_id", ID),
                ("kind", "string"),
                ("reply_count", "long"),
                ("created_at", "date"),
            ],
            &[
                ("body", "string"),
                ("attachments", "array"),
                ("reply_to", ID),
                ("thread_id", ID),
                ("reactions", "array"),
                ("client_key", "object"),
                ("fingerprint", "binData"),
                // of an older version: nobody reads it
                ("terms", "array"),
                ("edited_at", "date"),
                ("deleted_at", "date"),
            ],
        ),
        indexes: vec![
            unique(MESSAGES_SEQ, doc! { "conversation_id": 1, "seq": 1 }),
            only(
                unique("messages_client_id_key", doc! { "client_key": 1 }),
                doc! { "client_key": { "$exists": true } },
            ),
            index(
                "messages_rev",
                doc! { "conversation_id": 1, "rev": 1, "seq": 1 },
            ),
            only(
                index("messages_thread", doc! { "thread_id": 1, "seq": 1 }),
                doc! { "thread_id": { "$exists": true } },
            ),
        ],
    }
}

fn reactions() -> Shape {
    Shape {
        name: "reactions",
        validator: with_key(
            schema(&[("rev", "long"), ("reacted_at", "date")], &[]),
            &[("m", ID), ("e", "string"), ("u", ID)],
        ),
        indexes: vec![index(
            "reactions_order",
            doc! { "_id.m": 1, "_id.e": 1, "rev": 1 },
        )],
    }
}

fn attachments() -> Shape {
    let attached = || doc! { "state": "attached" };
    let there = |field: &str| doc! { field: { "$exists": true } };
    Shape {
        name: "attachments",
        validator: schema(
            &[
                ("_id", ID),
                ("uploader_id", ID),
                ("state", "string"),
                ("since", "date"),
                ("file", "object"),
            ],
            &[
                ("conversation_id", ID),
                ("message_id", ID),
                ("avatar_user_id", ID),
                ("avatar_conversation_id", ID),
            ],
        ),
        indexes: vec![
            only(
                unique("attachments_avatar_user_key", doc! { "avatar_user_id": 1 }),
                there("avatar_user_id"),
            ),
            only(
                unique(
                    "attachments_avatar_conversation_key",
                    doc! { "avatar_conversation_id": 1 },
                ),
                there("avatar_conversation_id"),
            ),
            only(
                index("attachments_media", doc! { "conversation_id": 1, "_id": 1 }),
                attached(),
            ),
            only(
                index(
                    "attachments_media_kind",
                    doc! { "conversation_id": 1, "file.kind": 1, "_id": 1, "file.size": 1 },
                ),
                attached(),
            ),
            // those that are pending or ready, as a comparison, since version 5 takes no `$in` here
            only(
                index("attachments_stale", doc! { "state": 1, "since": 1 }),
                doc! { "state": { "$gt": "condemned" } },
            ),
            only(
                index("attachments_condemned", doc! { "state": 1, "_id": 1 }),
                doc! { "state": "condemned" },
            ),
        ],
    }
}

fn leases() -> Shape {
    Shape {
        name: "leases",
        validator: schema(
            &[("_id", "string"), ("holder", "string"), ("ends", "date")],
            &[],
        ),
        indexes: Vec::new(),
    }
}

fn search_segments() -> Shape {
    Shape {
        name: "search_segments",
        validator: with_key(
            schema(
                &[("last_seq", "long"), ("oldest", ID), ("newest", ID)],
                &[("terms", "array")],
            ),
            &[("c", ID), ("s", "long"), ("r", "long")],
        ),
        indexes: vec![
            only(
                index(
                    SEGMENTS_TERMS,
                    doc! { "_id.c": 1, "terms": 1, "newest": -1, "_id.s": -1, "_id.r": 1 },
                ),
                doc! { "terms": { "$exists": true } },
            ),
            only(
                index("search_segments_amendments", doc! { "_id.r": 1 }),
                doc! { "_id.r": { "$gt": 0_i64 } },
            ),
        ],
    }
}

fn search_heads() -> Shape {
    Shape {
        name: "search_heads",
        validator: schema(&[("_id", ID), ("indexed_seq", "long")], &[]),
        indexes: Vec::new(),
    }
}

fn search_state() -> Shape {
    Shape {
        name: "search_state",
        validator: schema(
            &[("_id", "string"), ("turn", "long")],
            &[("indexed_until", ID)],
        ),
        indexes: Vec::new(),
    }
}

fn health() -> Shape {
    Shape {
        name: HEALTH,
        validator: schema(&[("pings", "long")], &[]),
        indexes: Vec::new(),
    }
}
