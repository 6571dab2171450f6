-- Uploaded files; their bytes are elsewhere. `since` is when the state was entered that may get stale.
-- A picture is that of one owner: who is not shown by it any more is not named.
CREATE TABLE attachments (
    id                     BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    uploader_id            BLOB NOT NULL CHECK (length(uploader_id) = 16),
    conversation_id        BLOB,
    state                  TEXT NOT NULL,
    message_id             BLOB,
    kind                   TEXT NOT NULL,
    name                   TEXT NOT NULL,
    media_type             TEXT NOT NULL,
    size                   INTEGER NOT NULL,
    sha256                 BLOB NOT NULL,
    width                  INTEGER,
    height                 INTEGER,
    duration_ms            INTEGER,
    thumbnails             INTEGER NOT NULL,
    created_at             INTEGER NOT NULL,
    since                  INTEGER NOT NULL,
    avatar_user_id         BLOB,
    avatar_conversation_id BLOB
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attachments_avatar_user_key ON attachments (avatar_user_id)
    WHERE avatar_user_id IS NOT NULL;
CREATE UNIQUE INDEX attachments_avatar_conversation_key ON attachments (avatar_conversation_id)
    WHERE avatar_conversation_id IS NOT NULL;
CREATE INDEX attachments_media ON attachments (conversation_id, id) WHERE state = 'attached';
CREATE INDEX attachments_media_kind ON attachments (conversation_id, kind, id, size)
    WHERE state = 'attached';
CREATE INDEX attachments_stale ON attachments (since) WHERE state IN ('pending', 'ready');
CREATE INDEX attachments_condemned ON attachments (id) WHERE state = 'condemned';

-- Who may do a job that only one process shall do.
CREATE TABLE leases (
    name   TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    ends   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
