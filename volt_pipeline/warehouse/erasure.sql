-- The statements of erasure.py and withholding.py, by name: see queries.sql.

-- name: count_forgotten
-- How many, and the last one's number: while neither moves, nobody was added or came back. Takes the lock on the table
-- that an erasure waits for.
SELECT (SELECT key FROM volt_ops.keys WHERE purpose = 'tombstones'), count(*), coalesce(max(id), 0)
FROM volt_ops.forgotten

-- name: list_forgotten
SELECT digest FROM volt_ops.forgotten

-- name: tombstone_key
SELECT key FROM volt_ops.keys WHERE purpose = 'tombstones'

-- name: note_withheld
INSERT INTO volt_ops.withheld (account_id, digest)
SELECT account_id, digest FROM unnest(%(account_ids)s::text[], %(digests)s::bytea[]) AS t (account_id, digest)
ON CONFLICT DO NOTHING

-- name: note_withheld_items
INSERT INTO volt_ops.withheld AS w (account_id, digest, in_inbox, run_id)
SELECT account_id, digest, true, %(run_id)s
FROM unnest(%(account_ids)s::text[], %(digests)s::bytea[]) AS t (account_id, digest)
ON CONFLICT (account_id, digest) DO UPDATE SET in_inbox = true, run_id = excluded.run_id
WHERE NOT w.in_inbox OR w.run_id IS DISTINCT FROM excluded.run_id

-- name: clear_withheld_items
-- An inbox that this run has read to its end without meeting them shows them no more.
UPDATE volt_ops.withheld
SET in_inbox = false
WHERE account_id = ANY(%(account_ids)s) AND in_inbox AND run_id IS DISTINCT FROM %(run_id)s

-- name: own_number
SELECT EXISTS (
    SELECT FROM volt.account_numbers WHERE regexp_replace(phone_number, '\D', '', 'g') = %(digits)s::text
    UNION ALL
    SELECT FROM volt.accounts WHERE regexp_replace(primary_phone, '\D', '', 'g') = %(digits)s::text
)

-- name: account_phones
SELECT primary_phone FROM volt.accounts WHERE primary_phone <> ''
UNION
SELECT account_phone FROM volt_ops.leases

-- name: find_person
-- What their rows are found by: contacts, messages, conversations' ids in the marts; and where Volt holds them.
WITH held AS MATERIALIZED (
    SELECT account_id, phone_number AS phone, id AS contact_id
    FROM volt.contacts WHERE regexp_replace(phone_number, '\D', '', 'g') = %(digits)s::text
    UNION ALL
    SELECT account_id, contact_phone, NULL
    FROM volt.inbox_items WHERE regexp_replace(contact_phone, '\D', '', 'g') = %(digits)s::text
    UNION ALL
    SELECT account_id, contact_phone, NULL
    FROM volt.conversations WHERE regexp_replace(contact_phone, '\D', '', 'g') = %(digits)s::text
),
texts AS MATERIALIZED (
    SELECT account_id, contact_phone AS phone, id
    FROM volt.messages
    WHERE regexp_replace(contact_phone, '\D', '', 'g') = %(digits)s::text
    UNION ALL
    SELECT account_id, NULL, id
    FROM volt.messages
    WHERE coalesce(contact_phone, '') = ''
      AND %(digits)s::text IN (regexp_replace(to_number, '\D', '', 'g'), regexp_replace(from_number, '\D', '', 'g'))
),
known AS (
    SELECT account_id, phone FROM held UNION SELECT account_id, phone FROM texts
)
SELECT
    ARRAY(SELECT DISTINCT contact_id FROM held WHERE contact_id IS NOT NULL) AS contacts,
    ARRAY(SELECT DISTINCT id FROM texts) AS messages,
    ARRAY(
        SELECT DISTINCT md5(a.id || '|' || p.phone)
        FROM volt.accounts AS a
        CROSS JOIN (SELECT phone FROM known WHERE phone IS NOT NULL UNION SELECT '+' || %(digits)s::text) AS p
    ) AS conversations,
    ARRAY(SELECT DISTINCT account_id FROM known WHERE account_id IS NOT NULL) AS accounts,
    ARRAY(
        SELECT DISTINCT i.account_id
        FROM volt.inbox_items AS i
        LEFT JOIN volt.contacts AS c ON c.id = i.contact_id
        WHERE c.deleted_at IS NULL AND regexp_replace(i.contact_phone, '\D', '', 'g') = %(digits)s::text
    ) AS inboxes

-- name: other_numbers
-- Whether the same contact was seen under another number, too.
SELECT EXISTS (
    SELECT FROM volt.contact_changes AS h
    WHERE (
        h.contact_id = ANY(%(contacts)s)
        OR h.contact_id IN (
            SELECT contact_id FROM volt.contact_changes
            WHERE regexp_replace(phone_number, '\D', '', 'g') = %(digits)s::text
        )
    )
    AND regexp_replace(h.phone_number, '\D', '', 'g') <> %(digits)s::text
)

-- name: sending_now
SELECT EXISTS (
    SELECT FROM volt_ops.outbox
    WHERE (state = 'attempting' OR claimed_until > now())
      AND (
        regexp_replace(to_phone, '\D', '', 'g') = %(digits)s::text
        OR %(digits)s::text IN (SELECT regexp_replace(n, '\D', '', 'g') FROM unnest(contact_numbers) AS n)
      )
)

-- name: blank_plans
UPDATE volt_ops.push_plans AS p
SET rows = (
    SELECT jsonb_agg(
        CASE WHEN regexp_replace(r.row ->> 'row_key', '\D', '', 'g') = %(digits)s::text
            THEN r.row || jsonb_build_object('row_key', %(blank)s::text) ELSE r.row END
        ORDER BY r.place
    )
    FROM jsonb_array_elements(p.rows) WITH ORDINALITY AS r (row, place)
)
WHERE export = 'contacts' AND rows::text LIKE '%%' || right(%(digits)s::text, 4) || '%%'
  AND EXISTS (
    SELECT FROM jsonb_array_elements(p.rows) AS r (row)
    WHERE regexp_replace(r.row ->> 'row_key', '\D', '', 'g') = %(digits)s::text
)

-- name: leave_scheduled
-- A text to several people goes to the others.
UPDATE volt_ops.outbox AS o
SET contact_numbers = ARRAY(
    SELECT n FROM unnest(o.contact_numbers) AS n WHERE regexp_replace(n, '\D', '', 'g') <> %(digits)s::text
)
WHERE cardinality(o.contact_numbers) > 1
  AND %(digits)s::text IN (SELECT regexp_replace(n, '\D', '', 'g') FROM unnest(o.contact_numbers) AS n)

-- name: forget_in_counts
-- The inboxes' counts as of their last walks, with one person less held, and one more withheld.
UPDATE volt_ops.walks
SET held = held - 1, withheld = withheld + 1
WHERE stream = 'inbox_items' AND completed_at IS NOT NULL AND account_id = ANY(%(inboxes)s)

-- name: bury_person
INSERT INTO volt_ops.forgotten (digest) VALUES (%(digest)s::bytea) ON CONFLICT DO NOTHING RETURNING id

-- name: bury_person_in_accounts
INSERT INTO volt_ops.withheld AS w (account_id, digest, in_inbox)
SELECT account_id, %(digest)s::bytea, account_id = ANY(%(inboxes)s) FROM unnest(%(accounts)s::text[]) AS account_id
ON CONFLICT (account_id, digest) DO UPDATE SET in_inbox = w.in_inbox OR excluded.in_inbox

-- name: remember_person
DELETE FROM volt_ops.forgotten WHERE digest = %(digest)s::bytea RETURNING id

-- name: still_in_volt
-- Forgotten people whom Volt's inboxes still show.
SELECT count(DISTINCT digest) FROM volt_ops.withheld WHERE in_inbox

-- name: erasable_tables
-- The tables (no views) of schemas that are ours, with their columns.
SELECT
    n.nspname,
    c.relname,
    array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(t.typcategory::text || t.typname ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
  AND (n.nspname = 'volt' OR n.nspname LIKE 'volt\_%%') AND c.relkind = ANY(%(kinds)s::"char"[])
GROUP BY 1, 2
ORDER BY 1, 2
