-- Ids are UUIDs of 16 bytes, times are milliseconds since 1970 (UTC), flags are 0 or 1.
-- Names of unique indexes are the same on every backend.

CREATE TABLE users (
    id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL,
    display_name  TEXT NOT NULL,
    display_key   TEXT NOT NULL,
    avatar_url    TEXT,
    bio           TEXT,
    status        TEXT NOT NULL,
    status_text   TEXT,
    presence      TEXT NOT NULL,
    read_receipts INTEGER NOT NULL,
    searchable    INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    last_seen_at  INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_username_key ON users (username_key);
CREATE UNIQUE INDEX users_email_key ON users (email_key);
CREATE INDEX users_display ON users (display_key);

CREATE TABLE blocks (
    blocker_id BLOB NOT NULL REFERENCES users (id),
    blocked_id BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (blocker_id, blocked_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id           BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id      BLOB NOT NULL REFERENCES users (id),
    device       TEXT,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    ended_at     INTEGER NOT NULL
                 GENERATED ALWAYS AS (coalesce(min(revoked_at, expires_at), expires_at)) VIRTUAL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id, last_used_at, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at);

-- Used tokens stay until their session is purged: that is how a stolen one is found out.
CREATE TABLE refresh_tokens (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    is_current INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE conversations (
    id               BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind             TEXT NOT NULL,
    direct_key       TEXT,
    slug             TEXT,
    name             TEXT,
    description      TEXT,
    avatar_url       TEXT,
    created_by       BLOB NOT NULL REFERENCES users (id),
    created_at       INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    last_seq         INTEGER NOT NULL,
    rev              INTEGER NOT NULL,
    changed_rev      INTEGER NOT NULL,
    member_count     INTEGER NOT NULL,
    deleted_at       INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX conversations_direct_key ON conversations (direct_key)
    WHERE direct_key IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX conversations_slug_key ON conversations (slug)
    WHERE slug IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

-- Who left stays, since the change is part of what others catch up on.
CREATE TABLE members (
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    user_id         BLOB NOT NULL REFERENCES users (id),
    role            TEXT NOT NULL,
    joined_at       INTEGER NOT NULL,
    left_at         INTEGER,
    rev             INTEGER NOT NULL,
    delivered_seq   INTEGER NOT NULL,
    delivered_at    INTEGER,
    read_seq        INTEGER NOT NULL,
    read_at         INTEGER,
    archived        INTEGER NOT NULL,
    pinned          INTEGER NOT NULL,
    muted_until     INTEGER,
    CONSTRAINT members_pkey PRIMARY KEY (conversation_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user_id, conversation_id) WHERE left_at IS NULL;
CREATE INDEX members_present ON members (conversation_id, user_id) WHERE left_at IS NULL;
CREATE INDEX members_succession ON members (conversation_id, role, joined_at, user_id)
    WHERE left_at IS NULL;
CREATE INDEX members_rev ON members (conversation_id, rev);

-- `num` is this database's own name of a message: short, for what refers to it in here.
-- `attachments` are 16 bytes each; `emoji_count` says whether there is anything in reaction_groups.
CREATE TABLE messages (
    num             INTEGER NOT NULL PRIMARY KEY,
    id              BLOB NOT NULL CHECK (length(id) = 16),
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    seq             INTEGER NOT NULL,
    rev             INTEGER NOT NULL,
    sender_id       BLOB NOT NULL CHECK (length(sender_id) = 16),
    kind            TEXT NOT NULL,
    body            TEXT,
    attachments     BLOB,
    reply_to        BLOB,
    thread_id       BLOB,
    reply_count     INTEGER NOT NULL DEFAULT 0,
    emoji_count     INTEGER NOT NULL DEFAULT 0,
    client_id       TEXT,
    fingerprint     BLOB,
    created_at      INTEGER NOT NULL,
    edited_at       INTEGER,
    deleted_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX messages_id_key ON messages (id);
CREATE UNIQUE INDEX messages_conversation_seq_key ON messages (conversation_id, seq);
CREATE UNIQUE INDEX messages_client_id_key ON messages (conversation_id, sender_id, client_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX messages_rev ON messages (conversation_id, rev, seq);
CREATE INDEX messages_thread ON messages (thread_id, seq) WHERE thread_id IS NOT NULL;

-- One row per message and emoji: `first_rev` is when it first came, and stays while anybody is left.
CREATE TABLE reaction_groups (
    message_num INTEGER NOT NULL REFERENCES messages (num) ON DELETE CASCADE,
    emoji       TEXT NOT NULL,
    first_rev   INTEGER NOT NULL,
    user_count  INTEGER NOT NULL,
    CONSTRAINT reaction_groups_pkey PRIMARY KEY (message_num, emoji)
) STRICT, WITHOUT ROWID;

-- The order of reacting is the order of revs: two may come in one millisecond.
CREATE TABLE reactions (
    message_num INTEGER NOT NULL,
    emoji       TEXT NOT NULL,
    rev         INTEGER NOT NULL,
    user_id     BLOB NOT NULL CHECK (length(user_id) = 16),
    reacted_at  INTEGER NOT NULL,
    CONSTRAINT reactions_pkey PRIMARY KEY (message_num, emoji, rev),
    FOREIGN KEY (message_num, emoji) REFERENCES reaction_groups (message_num, emoji) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reactions_user_key ON reactions (message_num, emoji, user_id);

-- What live messages are found by, by messages.num. A token is its conversation's tag and a term, both in
-- hexadecimal: so the tokenizer has nothing to split or to fold, the prefix of a term is the prefix of a
-- token, and a search reads only entries of the searcher's own conversations.
CREATE VIRTUAL TABLE message_terms USING fts5 (
    tokens, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

-- What a readiness check writes to.
CREATE TABLE health (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    pings INTEGER NOT NULL
) STRICT;
INSERT INTO health (id, pings) VALUES (1, 0);
