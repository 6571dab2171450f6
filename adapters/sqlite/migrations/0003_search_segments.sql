-- Messages are found by segments, which are made behind the back of those who send (see the domain's
-- `search`). Those which are there are not indexed here, since that takes its time: until they are, they
-- are read by each search.
DROP TABLE message_terms;

-- Neighbouring messages, `rev` 0; or one message that was changed, and by which rev: an amendment. `num` is
-- never given twice: a step of the index takes out by it what it has read a moment before.
CREATE TABLE search_segments (
    num             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    first_seq       INTEGER NOT NULL,
    last_seq        INTEGER NOT NULL,
    rev             INTEGER NOT NULL,
    oldest          BLOB NOT NULL CHECK (length(oldest) = 16),
    newest          BLOB NOT NULL CHECK (length(newest) = 16)
) STRICT;
CREATE UNIQUE INDEX search_segments_key ON search_segments (conversation_id, first_seq, rev);
CREATE INDEX search_segments_amendments ON search_segments (num) WHERE rev > 0;

-- The terms of segments, by search_segments.num. A token is its conversation's tag and a term, both in
-- hexadecimal: so the tokenizer has nothing to split or to fold, the prefix of a term is the prefix of a
-- token, and a search reads only entries of the searcher's own conversations.
CREATE VIRTUAL TABLE segment_terms USING fts5 (
    tokens, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

-- Up to where a conversation's messages are in segments. Not in its own row, which senders are at.
CREATE TABLE search_heads (
    conversation_id BLOB NOT NULL PRIMARY KEY REFERENCES conversations (id),
    indexed_seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the index goes on, and how many steps it has made: of two that start from the same, one counts.
CREATE TABLE search_state (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    indexed_until BLOB CHECK (length(indexed_until) = 16),
    steps         INTEGER NOT NULL
) STRICT;
INSERT INTO search_state (id, steps) VALUES (1, 0);
