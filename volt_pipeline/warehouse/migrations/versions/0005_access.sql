CREATE TABLE volt_ops.keys (
    purpose text PRIMARY KEY CHECK (purpose IN ('tombstones', 'pseudonyms')),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE volt_ops.keys IS
    'Random keys, made once. tombstones: the digests of who was forgotten. pseudonyms: what the masked views show for ids made of phones.';
INSERT INTO volt_ops.keys (purpose, key)
SELECT purpose, sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || purpose, 'UTF8'))
FROM unnest(ARRAY['tombstones', 'pseudonyms']) AS purpose;

CREATE TABLE volt_ops.forgotten (
    digest bytea PRIMARY KEY,
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    forgotten_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE volt_ops.forgotten IS
    'Who was forgotten (volt-pipeline forget): HMAC-SHA256 of the phone''s digits under volt_ops.keys. The phone itself stands nowhere.';

CREATE TABLE volt_ops.withheld (
    account_id text NOT NULL,
    digest bytea NOT NULL REFERENCES volt_ops.forgotten ON DELETE CASCADE,
    in_inbox boolean NOT NULL DEFAULT false,
    run_id text,
    PRIMARY KEY (account_id, digest)
);
COMMENT ON TABLE volt_ops.withheld IS
    'In which accounts Volt held someone who was forgotten: what Volt counts of them is no gap of ours.';
COMMENT ON COLUMN volt_ops.withheld.in_inbox IS
    'If Volt''s inbox still shows them, as of its last whole walk: they were not removed in Volt yet.';
COMMENT ON COLUMN volt_ops.withheld.run_id IS 'The last run that met them in the inbox.';

ALTER TABLE volt_ops.walks ADD COLUMN withheld bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN volt_ops.walks.withheld IS 'Items of people who were forgotten: Volt counts them, they are not stored.';
COMMENT ON COLUMN volt_ops.walks.gap IS
    'total - held - rejected - unidentifiable - withheld at the end of the last complete walk.';

-- Of waves and lists Volt gives totals alone: as many missing as there are forgotten people in the account are theirs.
CREATE OR REPLACE VIEW volt_ops.coverage AS
    WITH people AS (
        SELECT account_id, count(*) AS forgotten FROM volt_ops.withheld GROUP BY account_id
        UNION ALL
        SELECT NULL, count(*) FROM volt_ops.withheld
    ),
    counted AS (
        SELECT
            'waves' AS stream, w.account_id, w.id, w.total_messages AS total, coalesce(m.held, 0) AS held, w.loaded_at
        FROM volt.waves AS w
        LEFT JOIN (SELECT wave_id, count(*) AS held FROM volt.messages WHERE wave_id IS NOT NULL GROUP BY 1) AS m
            ON m.wave_id = w.id
        WHERE w.deleted_at IS NULL
        UNION ALL
        SELECT 'lists', l.account_id, l.id, l.size, coalesce(m.held, 0), l.loaded_at
        FROM volt.lists AS l
        LEFT JOIN (SELECT list_id, count(*) AS held FROM volt.contact_lists WHERE valid_to IS NULL GROUP BY 1) AS m
            ON m.list_id = l.id
        WHERE l.deleted_at IS NULL
    ),
    judged AS (
        SELECT c.*, greatest(least(c.total - c.held, coalesce(p.forgotten, 0)), 0) AS withheld
        FROM counted AS c
        LEFT JOIN people AS p ON p.account_id IS NOT DISTINCT FROM c.account_id
    )
    SELECT
        stream, account_id, contact_phone AS key, total, held, rejected, unidentifiable, gap,
        completed_at AS measured_at, withheld
    FROM volt_ops.walks
    WHERE completed_at IS NOT NULL
    UNION ALL
    SELECT
        stream, coalesce(account_id, ''), id, total, held, 0, 0, total - held - withheld, loaded_at, withheld
    FROM judged;
COMMENT ON VIEW volt_ops.coverage IS
    'Rows held against Volt''s own totals, an inbox, conversation (stream messages), wave or list a row; gap 0 is complete.';
