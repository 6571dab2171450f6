-- A lexeme is its conversation's tag, which is eight hexadecimal digits (before: sixteen), and a term as it is
-- (before: in hexadecimal). It has only letters, digits and marks, so nothing needs quoting but in a query.
DROP INDEX messages_terms;
UPDATE messages m SET terms = (
    SELECT array_to_tsvector(array_agg(substr(lexeme, 9, 8) || convert_from(decode(substr(lexeme, 17), 'hex'), 'UTF8')))
    FROM unnest(tsvector_to_array(m.terms)) lexeme)
WHERE m.terms IS NOT NULL;
CREATE INDEX messages_terms ON messages USING gin (terms) WITH (gin_pending_list_limit = 1024);

-- Starts with the sender, as no other index does: a key is found by it whatever the statistics say.
DROP INDEX messages_client_id_key;
CREATE UNIQUE INDEX messages_client_id_key ON messages (sender_id, client_id, conversation_id)
    WHERE client_id IS NOT NULL;
