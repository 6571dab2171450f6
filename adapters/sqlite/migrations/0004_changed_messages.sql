-- Messages that nobody has changed have their revs in the order of their seqs, and are found by those. Only what was
-- changed since it was sent needs an index of revs. Of what is stored by now nobody knows that; it counts as changed.
ALTER TABLE messages ADD COLUMN changed INTEGER NOT NULL DEFAULT 1;
DROP INDEX messages_rev;
CREATE INDEX messages_changed ON messages (conversation_id, rev, seq) WHERE changed;
