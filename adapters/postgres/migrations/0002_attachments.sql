-- Uploaded files; their bytes are elsewhere. `since` is when the state was entered that may get stale.
-- A picture is that of one owner: who is not shown by it any more is not named.
CREATE TABLE attachments (
    id                     uuid CONSTRAINT attachments_pkey PRIMARY KEY,
    uploader_id            uuid NOT NULL,
    conversation_id        uuid,
    state                  text NOT NULL COLLATE "C",
    message_id             uuid,
    kind                   text NOT NULL COLLATE "C",
    name                   text NOT NULL,
    media_type             text NOT NULL,
    size                   bigint NOT NULL,
    sha256                 bytea NOT NULL,
    width                  bigint,
    height                 bigint,
    duration_ms            bigint,
    thumbnails             boolean NOT NULL,
    created_at             bigint NOT NULL,
    since                  bigint NOT NULL,
    avatar_user_id         uuid,
    avatar_conversation_id uuid
);
CREATE UNIQUE INDEX attachments_avatar_user_key ON attachments (avatar_user_id)
    WHERE avatar_user_id IS NOT NULL;
CREATE UNIQUE INDEX attachments_avatar_conversation_key ON attachments (avatar_conversation_id)
    WHERE avatar_conversation_id IS NOT NULL;
CREATE INDEX attachments_media ON attachments (conversation_id, id) WHERE state = 'attached';
CREATE INDEX attachments_media_kind ON attachments (conversation_id, kind, id) INCLUDE (size)
    WHERE state = 'attached';
CREATE INDEX attachments_stale ON attachments (since) WHERE state IN ('pending', 'ready');
CREATE INDEX attachments_condemned ON attachments (id) WHERE state = 'condemned';

-- Who may do a job that only one process shall do.
CREATE TABLE leases (
    name   text COLLATE "C" CONSTRAINT leases_pkey PRIMARY KEY,
    holder text NOT NULL COLLATE "C",
    ends   bigint NOT NULL
);
