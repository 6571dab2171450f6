-- Times are milliseconds since 1970 (UTC). Names of unique indexes are the same on every backend.
-- Where rows change often, pages are left partly empty: an update then touches no index.

CREATE TABLE users (
    id            uuid CONSTRAINT users_pkey PRIMARY KEY,
    username      text NOT NULL,
    username_key  text NOT NULL COLLATE "C",
    email         text NOT NULL,
    email_key     text NOT NULL COLLATE "C",
    display_name  text NOT NULL,
    display_key   text NOT NULL COLLATE "C",
    avatar_url    text,
    bio           text,
    status        text NOT NULL,
    status_text   text,
    presence      text NOT NULL,
    read_receipts boolean NOT NULL,
    searchable    boolean NOT NULL,
    password_hash text NOT NULL,
    last_seen_at  bigint,
    created_at    bigint NOT NULL,
    updated_at    bigint NOT NULL
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX users_username_key ON users (username_key);
CREATE UNIQUE INDEX users_email_key ON users (email_key);
CREATE INDEX users_display ON users (display_key);

CREATE TABLE blocks (
    blocker_id uuid NOT NULL REFERENCES users (id),
    blocked_id uuid NOT NULL REFERENCES users (id),
    created_at bigint NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (blocker_id, blocked_id)
);

CREATE TABLE sessions (
    id           uuid CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id),
    device       text,
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at   bigint NOT NULL,
    revoked_at   bigint,
    ended_at     bigint NOT NULL GENERATED ALWAYS AS (least(revoked_at, expires_at)) STORED
);
CREATE INDEX sessions_user ON sessions (user_id, last_used_at, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at);

-- Used tokens stay until their session is purged: that is how a stolen one is found out.
CREATE TABLE refresh_tokens (
    hash       bytea CONSTRAINT refresh_tokens_pkey PRIMARY KEY CHECK (length(hash) = 32),
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    is_current boolean NOT NULL
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE conversations (
    id               uuid CONSTRAINT conversations_pkey PRIMARY KEY,
    kind             text NOT NULL,
    direct_key       text COLLATE "C",
    slug             text COLLATE "C",
    name             text,
    description      text,
    avatar_url       text,
    created_by       uuid NOT NULL REFERENCES users (id),
    created_at       bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    last_seq         bigint NOT NULL,
    rev              bigint NOT NULL,
    changed_rev      bigint NOT NULL,
    member_count     bigint NOT NULL,
    deleted_at       bigint
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX conversations_direct_key ON conversations (direct_key)
    WHERE direct_key IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX conversations_slug_key ON conversations (slug)
    WHERE slug IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

-- Who left stays, since the change is part of what others catch up on.
CREATE TABLE members (
    conversation_id uuid NOT NULL REFERENCES conversations (id),
    user_id         uuid NOT NULL REFERENCES users (id),
    role            text NOT NULL COLLATE "C",
    joined_at       bigint NOT NULL,
    left_at         bigint,
    rev             bigint NOT NULL,
    delivered_seq   bigint NOT NULL,
    delivered_at    bigint,
    read_seq        bigint NOT NULL,
    read_at         bigint,
    archived        boolean NOT NULL,
    pinned          boolean NOT NULL,
    muted_until     bigint,
    CONSTRAINT members_pkey PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);
CREATE INDEX members_present ON members (conversation_id, user_id) WHERE left_at IS NULL;
CREATE INDEX members_succession ON members (conversation_id, role, joined_at, user_id)
    WHERE left_at IS NULL;
CREATE INDEX members_rev ON members (conversation_id, rev);
CREATE INDEX members_user ON members (user_id, conversation_id) WHERE left_at IS NULL;

-- No foreign keys on the hot path: a message is only stored while its conversation's row is locked and its
-- sender was found among the members.
-- `emoji_count` says whether there is anything in reaction_groups. `terms` are what a live message is found
-- by: each is its conversation's tag and a term, both in hexadecimal, so that nothing needs quoting and a
-- search reads only entries of the searcher's own conversations.
CREATE TABLE messages (
    id              uuid CONSTRAINT messages_id_key PRIMARY KEY,
    conversation_id uuid NOT NULL,
    seq             bigint NOT NULL,
    rev             bigint NOT NULL,
    sender_id       uuid NOT NULL,
    kind            text NOT NULL,
    body            text,
    attachments     uuid[],
    reply_to        uuid,
    thread_id       uuid,
    reply_count     bigint NOT NULL DEFAULT 0,
    emoji_count     bigint NOT NULL DEFAULT 0,
    client_id       text COLLATE "C",
    fingerprint     bytea,
    created_at      bigint NOT NULL,
    edited_at       bigint,
    deleted_at      bigint,
    terms           tsvector
);
CREATE UNIQUE INDEX messages_client_id_key ON messages (conversation_id, sender_id, client_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX messages_rev ON messages (conversation_id, rev, seq);
CREATE UNIQUE INDEX messages_conversation_seq_key ON messages (conversation_id, seq);
CREATE INDEX messages_thread ON messages (thread_id, seq) WHERE thread_id IS NOT NULL;
-- what is not yet merged into the index is read by every search: a megabyte of it at most
CREATE INDEX messages_terms ON messages USING gin (terms) WITH (gin_pending_list_limit = 1024);

-- One row per message and emoji: `first_rev` is when it first came, and stays while anybody is left.
CREATE TABLE reaction_groups (
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    emoji      text NOT NULL COLLATE "C",
    first_rev  bigint NOT NULL,
    user_count bigint NOT NULL,
    CONSTRAINT reaction_groups_pkey PRIMARY KEY (message_id, emoji)
) WITH (fillfactor = 80);

-- The order of reacting is the order of revs: two may come in one millisecond.
CREATE TABLE reactions (
    message_id uuid NOT NULL,
    emoji      text NOT NULL COLLATE "C",
    rev        bigint NOT NULL,
    user_id    uuid NOT NULL,
    reacted_at bigint NOT NULL,
    CONSTRAINT reactions_pkey PRIMARY KEY (message_id, emoji, rev),
    FOREIGN KEY (message_id, emoji) REFERENCES reaction_groups (message_id, emoji) ON DELETE CASCADE
);
CREATE UNIQUE INDEX reactions_user_key ON reactions (message_id, emoji, user_id);

-- What a readiness check writes to.
CREATE TABLE health (
    id    integer CONSTRAINT health_pkey PRIMARY KEY CHECK (id = 1),
    pings bigint NOT NULL
);
INSERT INTO health (id, pings) VALUES (1, 0);
