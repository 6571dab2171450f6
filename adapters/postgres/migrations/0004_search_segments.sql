-- What messages are found by is no longer kept with each of them but for neighbours together, some time after
-- they were stored. What was stored before is indexed anew while the server runs; until then a search reads it.
DROP INDEX messages_terms;
ALTER TABLE messages DROP COLUMN terms;

-- Of rev 0: neighbouring messages, and every term that one of them has. Of a higher rev: an amendment, the terms
-- of one message that was edited (none when it was deleted) with that rev, until the segment that it is in is
-- made anew. A lexeme is its conversation's tag, the last eight digits of its id, and a term.
CREATE TABLE search_segments (
    conversation_id uuid NOT NULL,
    first_seq       bigint NOT NULL,
    last_seq        bigint NOT NULL,
    rev             bigint NOT NULL,
    oldest          uuid NOT NULL,
    newest          uuid NOT NULL,
    terms           tsvector,
    PRIMARY KEY (conversation_id, rev, first_seq)
);
CREATE INDEX search_segments_amended ON search_segments (conversation_id, first_seq) WHERE rev > 0;
-- what is not yet merged into the index is read by every search: a megabyte of it at most
CREATE INDEX search_segments_terms ON search_segments USING gin (terms) WITH (gin_pending_list_limit = 1024);

-- All messages up to it are in segments. Not in conversations: that row belongs to those who send.
CREATE TABLE search_heads (
    conversation_id uuid PRIMARY KEY,
    indexed_seq     bigint NOT NULL
);

-- Where the indexer goes on. Its lock lets one do so at a time.
CREATE TABLE search_state (
    id            int PRIMARY KEY CHECK (id = 1),
    indexed_until uuid NOT NULL
);
INSERT INTO search_state VALUES (1, '00000000-0000-0000-0000-000000000000');
