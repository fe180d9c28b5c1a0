-- Which rows are read again, and the state behind it. Each query is named; `queries.py` loads them.

-- name: due_conversations
-- A conversation is due when its inbox item differs from the one of its last complete walk, when a walk was cut off,
-- or when an open gap is due for another try. Keyset-paged by contact_phone.
SELECT
    i.contact_phone,
    md5(coalesce(i.last_message_time::text, '') || '|' || coalesce(i.last_message, '')) AS item,
    w.cursor,
    w.top,
    coalesce(w.gap, 0) AS gap,
    w.opened_at,
    coalesce(w.pages, 0) AS pages,
    coalesce(w.open_total, 0) AS open_total,
    w.open_top,
    w.oldest,
    coalesce(w.ordered, true) AS ordered,
    coalesce(w.open_item, '') AS open_item,
    -- and a walk in no order, which an early stop may have misled, is followed by a whole one
    coalesce(w.retry_at <= now() OR NOT w.ordered, false) AS retry
FROM volt.inbox_items AS i
LEFT JOIN volt_ops.walks AS w
    ON w.stream = 'messages' AND w.account_id = i.account_id AND w.contact_phone = i.contact_phone
LEFT JOIN volt.contacts AS c ON c.id = i.contact_id
WHERE c.deleted_at IS NULL AND i.account_id = %(account_id)s
  AND i.contact_phone > %(after)s
  AND (%(phones)s::text[] IS NULL OR i.contact_phone = ANY(%(phones)s))
  AND (
    w.completed_at IS NULL
    OR w.item IS DISTINCT FROM md5(coalesce(i.last_message_time::text, '') || '|' || coalesce(i.last_message, ''))
    OR w.retry_at <= now()
    OR (
      -- what this run completed itself is not read twice in it
      w.completed_at < (SELECT r.started_at FROM volt_ops.runs AS r WHERE r.run_id = %(run_id)s)
      AND (
        %(full)s
        -- Where times are whole seconds or minutes, a like text may have come in the same one, just after the walk.
        OR (
          i.last_message_time = date_trunc('second', i.last_message_time)
          AND i.last_message_time > w.completed_at - interval '2 minutes'
        )
      )
    )
  )
ORDER BY i.contact_phone
LIMIT %(limit)s

-- name: inbox_walk
-- The whole inbox is walked once a day: below the first page, read flags change without moving anything. And always
-- while its order is not seen to be newest first.
SELECT
    w.top,
    w.gap,
    coalesce(w.unidentifiable, 0) AS unidentifiable,
    coalesce(w.held, 0) AS held,
    w.whole_at < now() - interval '24 hours' OR NOT w.ordered OR coalesce(w.retry_at <= now(), false) AS whole
FROM volt_ops.walks AS w
WHERE w.stream = 'inbox_items' AND w.account_id = %(account_id)s AND w.completed_at IS NOT NULL

-- name: due_waves
-- Asked again on a decaying schedule until the totals rest: all messages settled, or readings 72 hours apart that found
-- nothing moved, however long nobody asked in between. One that is in quarantine is asked again each hour.
SELECT d.account_id, d.key, ''
FROM volt_ops.discoveries AS d
LEFT JOIN volt.waves AS v ON v.id = d.key
WHERE d.kind = 'wave'
  AND (
    %(full)s
    OR d.read_at IS NULL
    OR (
      d.misses = 0
      AND v.loaded_at > d.read_at - interval '72 hours'
      AND coalesce(v.total_messages_delivered + v.total_messages_failed < v.total_messages OR v.total_messages = 0, true)
      AND d.read_at + greatest(interval '1 minute', (d.read_at - v.loaded_at) / 2) <= now()
    )
    OR (d.misses > 0 AND d.read_at + interval '10 minutes' * power(2, least(d.misses, 8)) <= now())
    OR (
      d.read_at + interval '1 hour' <= now()
      AND EXISTS (
        SELECT FROM volt_ops.rejects AS j WHERE j.stream = 'waves' AND j.key = d.key AND j.resolved_at IS NULL
      )
    )
  )
ORDER BY d.key

-- name: due_lists
-- A list is asked again sooner the more recently it was seen to change, and at least once a day.
SELECT d.account_id, d.key, ''
FROM volt_ops.discoveries AS d
LEFT JOIN volt.lists AS l ON l.id = d.object_id
WHERE d.kind = 'list'
  AND d.account_id = ANY(%(account_ids)s)
  AND (
    %(full)s
    OR d.read_at IS NULL
    OR (
      d.misses = 0
      AND d.read_at + least(
        interval '24 hours', greatest(interval '15 minutes', (d.read_at - coalesce(l.loaded_at, d.found_at)) / 2)
      ) <= now()
    )
    OR (d.misses > 0 AND d.read_at + interval '10 minutes' * power(2, least(d.misses, 8)) <= now())
  )
ORDER BY d.account_id, d.key

-- name: due_messages
-- Unsettled messages: asked again by id, after a minute at first, then ever later; they rest once they were asked at an
-- age of 72 hours or more, however long nobody asked in between.
SELECT m.account_id, m.id, coalesce(m.contact_phone, '')
FROM volt.messages AS m
LEFT JOIN volt_ops.readings AS r ON r.kind = 'message' AND r.key = m.id
WHERE m.deleted_at IS NULL AND NOT m.is_final
  AND m.account_id = ANY(%(account_ids)s)
  AND coalesce(r.misses, 0) = 0
  AND least(m.sent_at, m.first_seen_at) > greatest(r.read_at, m.loaded_at) - interval '72 hours'
  AND (
    %(full)s
    OR greatest(r.read_at, m.loaded_at)
    + greatest(
        interval '1 minute',
        (greatest(r.read_at, m.loaded_at) - least(m.sent_at, m.first_seen_at)) / 2
      ) <= now()
  )
UNION
-- And those that may be gone (`suspect_messages`). (A part by itself: in one condition with the above, no index serves.)
SELECT m.account_id, m.id, coalesce(m.contact_phone, '')
FROM volt_ops.readings AS r
JOIN volt.messages AS m ON m.id = r.key
WHERE r.kind = 'message' AND r.misses > 0
  AND m.deleted_at IS NULL
  AND m.account_id = ANY(%(account_ids)s)
  AND (%(full)s OR r.read_at + interval '10 minutes' * power(2, least(r.misses, 8)) <= now())
UNION
-- And those in quarantine, later and later: one bad row is no reason to read its conversation again.
SELECT j.account_id, j.key, j.contact_phone
FROM volt_ops.rejects AS j
WHERE j.stream = 'messages' AND j.resolved_at IS NULL AND j.key <> ''
  AND j.account_id = ANY(%(account_ids)s)
  AND (%(full)s OR j.last_seen_at + interval '1 hour' * power(2, least(j.times - 1, 5)) <= now())
ORDER BY 2

-- name: due_contacts
-- A rolling sweep: each contact is asked again some time in the second half of the budget, its own moment spreading
-- the work, so that a first sync's contacts do not all come due at once.
SELECT c.account_id, c.id, c.phone_number
FROM volt.contacts AS c
JOIN volt_ops.readings AS r ON r.kind = 'contact' AND r.key = c.id
WHERE c.deleted_at IS NULL
  AND c.account_id = ANY(%(account_ids)s)
  AND c.phone_number <> ''
  AND CASE WHEN r.misses = 0
      THEN r.read_at + %(budget)s * (0.5 + (hashtext(c.id) & 65535) / 131072.0) <= now()
      ELSE r.read_at + interval '10 minutes' * power(2, least(r.misses, 8)) <= now()
  END
ORDER BY c.account_id, c.id

-- name: canary_contacts
-- Canaries: up to five of each account, those that Volt showed last, and none that is itself in doubt.
SELECT a.account_id, shown.id, shown.phone_number
FROM unnest(%(account_ids)s::text[]) AS a (account_id)
CROSS JOIN LATERAL (
    SELECT c.id, c.phone_number
    FROM volt.contacts AS c
    JOIN volt_ops.readings AS r ON r.kind = 'contact' AND r.key = c.id AND r.misses = 0
    WHERE c.deleted_at IS NULL AND c.account_id = a.account_id AND c.phone_number <> ''
      AND c.id <> ALL(%(doubtful)s)
    ORDER BY r.read_at DESC, c.id
    LIMIT 5
) AS shown

-- name: canary_messages
SELECT a.account_id, m.id, m.contact_phone
FROM unnest(%(account_ids)s::text[]) AS a (account_id)
CROSS JOIN LATERAL (
    SELECT latest.id, latest.contact_phone
    FROM (
        -- Sorted before any message is looked for: five conversations are looked into then, not all. (OFFSET 0 keeps it so.)
        SELECT account_id, contact_phone, last_message_time
        FROM volt.inbox_items
        WHERE account_id = a.account_id
        ORDER BY last_message_time DESC NULLS LAST
        OFFSET 0
    ) AS i
    CROSS JOIN LATERAL (
        SELECT n.id, n.contact_phone
        FROM volt.messages AS n
        WHERE n.account_id = i.account_id AND n.contact_phone = i.contact_phone
          AND n.is_final AND n.deleted_at IS NULL AND n.id <> ALL(%(doubtful)s)
        ORDER BY n.sent_at DESC NULLS LAST
        LIMIT 1
    ) AS latest
    ORDER BY i.last_message_time DESC NULLS LAST
    LIMIT 5
) AS m

-- name: canary_waves
SELECT '', d.key, ''
FROM volt_ops.discoveries AS d
WHERE d.kind = 'wave' AND d.misses = 0 AND d.object_id <> '' AND d.key <> ALL(%(doubtful)s)
ORDER BY d.read_at DESC, d.key
LIMIT 5

-- name: canary_lists
SELECT account_id, key, ''
FROM (
    SELECT d.account_id, d.key, row_number() OVER (PARTITION BY d.account_id ORDER BY d.read_at DESC, d.key) AS place
    FROM volt_ops.discoveries AS d
    WHERE d.kind = 'list' AND d.account_id = ANY(%(account_ids)s) AND d.misses = 0 AND d.object_id <> ''
      AND d.key <> ALL(%(doubtful)s)
) AS shown
WHERE place <= 5

-- name: held_webhooks
SELECT id FROM volt.webhooks WHERE deleted_at IS NULL

-- name: bury_contacts
-- Three clean nulls, each beside a living canary: Volt holds it no more.
UPDATE volt.contacts AS c
SET deleted_at = r.read_at, loaded_at = r.read_at, run_id = %(run_id)s
FROM volt_ops.readings AS r
WHERE r.kind = 'contact' AND r.key = ANY(%(keys)s) AND r.misses >= 3 AND c.id = r.key AND c.deleted_at IS NULL
  -- the canary: without another that Volt shows, a null proves nothing
  AND EXISTS (
    SELECT FROM volt.contacts AS other
    JOIN volt_ops.readings AS seen ON seen.kind = 'contact' AND seen.key = other.id AND seen.misses = 0
    WHERE other.deleted_at IS NULL
  )
RETURNING c.id

-- name: bury_messages
UPDATE volt.messages AS m
SET deleted_at = r.read_at, loaded_at = r.read_at, run_id = %(run_id)s
FROM volt_ops.readings AS r
WHERE r.kind = 'message' AND r.key = ANY(%(keys)s) AND r.misses >= 3 AND m.id = r.key AND m.deleted_at IS NULL
  AND EXISTS (
    SELECT FROM volt.messages AS other
    LEFT JOIN volt_ops.readings AS seen ON seen.kind = 'message' AND seen.key = other.id
    WHERE other.deleted_at IS NULL AND coalesce(seen.misses, 0) = 0
  )

-- name: bury_waves
UPDATE volt.waves AS w
SET deleted_at = d.read_at, loaded_at = d.read_at, run_id = %(run_id)s
FROM volt_ops.discoveries AS d
WHERE d.kind = 'wave' AND d.key = ANY(%(keys)s) AND d.misses >= 3 AND w.id = d.object_id AND w.deleted_at IS NULL
  AND EXISTS (
    SELECT FROM volt_ops.discoveries AS other WHERE other.kind = 'wave' AND other.misses = 0 AND other.object_id <> ''
  )

-- name: bury_webhooks
-- The list of webhooks is whole: three that do not name one, each shown to a token that sees something.
UPDATE volt.webhooks AS w
SET deleted_at = r.read_at, loaded_at = r.read_at, run_id = %(run_id)s
FROM volt_ops.readings AS r
WHERE r.kind = 'webhook' AND r.key = ANY(%(keys)s) AND r.misses >= 3 AND w.id = r.key AND w.deleted_at IS NULL

-- name: bury_lists
UPDATE volt.lists AS l
SET deleted_at = d.read_at, loaded_at = d.read_at, run_id = %(run_id)s
FROM volt_ops.discoveries AS d
WHERE d.kind = 'list' AND d.key = ANY(%(keys)s) AND d.misses >= 3 AND l.id = d.object_id AND l.deleted_at IS NULL
  AND EXISTS (
    SELECT FROM volt_ops.discoveries AS other
    WHERE other.kind = 'list' AND other.account_id = d.account_id AND other.misses = 0 AND other.object_id <> ''
  )
  -- a list that was renamed is missed under its old name only
  AND NOT EXISTS (
    SELECT FROM volt_ops.discoveries AS other
    WHERE other.kind = 'list' AND other.object_id = d.object_id AND other.misses = 0
  )

-- name: suspect_messages
-- Messages that may be gone or changed although they are final: of conversations that hold more than Volt counts, and
-- of contacts that were buried or retired. They are asked again by id; a clean null thrice buries them.
INSERT INTO volt_ops.readings AS r (kind, key, read_at, misses)
SELECT 'message', m.id, m.loaded_at, 1
FROM (
    SELECT n.id, n.loaded_at
    FROM stage_walks AS s
    JOIN volt_ops.walks AS w USING (stream, account_id, contact_phone)
    JOIN volt.messages AS n ON n.account_id = w.account_id AND n.contact_phone = w.contact_phone
    WHERE w.stream = 'messages' AND s.reached_end AND w.gap < 0 AND n.deleted_at IS NULL
    UNION  -- (an OR of the two would read the whole table)
    -- Contacts' messages stand in the conversations with every phone they were seen with, or in none: so the index of
    -- conversations serves, and a first load need not carry one by contact.
    SELECT n.id, n.loaded_at
    FROM volt.contacts AS c
    CROSS JOIN LATERAL (
        SELECT c.phone_number AS phone
        UNION
        SELECT h.phone_number FROM volt.contact_changes AS h WHERE h.contact_id = c.id
        UNION
        VALUES (''), (NULL)
    ) AS known
    CROSS JOIN LATERAL (
        SELECT o.id, o.loaded_at FROM volt.messages AS o
        WHERE o.account_id = c.account_id AND o.contact_phone = known.phone AND o.contact_id = c.id
          AND o.deleted_at IS NULL
        UNION ALL
        SELECT o.id, o.loaded_at FROM volt.messages AS o
        WHERE known.phone IS NULL AND o.account_id = c.account_id AND o.contact_phone IS NULL AND o.contact_id = c.id
          AND o.deleted_at IS NULL
    ) AS n
    WHERE c.id = ANY(%(contact_ids)s)
) AS m
ORDER BY m.id
ON CONFLICT (kind, key) DO UPDATE SET misses = greatest(r.misses, 1)

-- name: end_buried_memberships
UPDATE volt.contact_lists AS l
SET valid_to = c.deleted_at, loaded_at = c.deleted_at, run_id = %(run_id)s
FROM volt.contacts AS c
WHERE l.contact_id = c.id AND l.valid_to IS NULL AND c.id = ANY(%(contact_ids)s) AND c.deleted_at > l.valid_from

-- name: reopen_conversations
-- A contact that was buried and is back: its messages were buried too, and nothing else would read them again.
-- These few come first: a plan that begins with the walks reads them all for every page of an inbox.
WITH back AS MATERIALIZED (
    SELECT c.account_id, s.phone_number
    FROM stage_contacts AS s
    JOIN volt.contacts AS c ON c.id = s.id
    WHERE c.deleted_at IS NOT NULL AND c.loaded_at <= s.loaded_at
)
UPDATE volt_ops.walks AS w
SET retry_at = now()
FROM back AS b
WHERE w.stream = 'messages' AND w.account_id = b.account_id AND w.contact_phone = b.phone_number

-- name: retire_contacts
-- A phone that answers with another contact's id: the old contact is gone.
UPDATE volt.contacts AS old
SET deleted_at = s.loaded_at, loaded_at = s.loaded_at, run_id = %(run_id)s
FROM stage_contacts AS s
WHERE old.account_id = s.account_id AND old.phone_number = s.phone_number AND old.id <> s.id
  AND old.deleted_at IS NULL AND old.loaded_at <= s.loaded_at
RETURNING old.id

-- name: complete_walks
-- Judge the walks of this batch that read to their end or below the top of the last one. A walk that stopped early
-- is complete only if the count agrees with the last complete one; else it must go on.
WITH counted AS MATERIALIZED (
    -- Walk by walk, along the indexes: a join over all of them is at the mercy of statistics that a first load has
    -- outrun, and would read the whole table for every batch.
    SELECT
        e.*,
        CASE WHEN e.stream = 'messages' THEN (
            SELECT count(*) FROM volt.messages AS m
            WHERE m.account_id = e.account_id AND m.contact_phone = e.contact_phone AND m.deleted_at IS NULL
        ) ELSE (
            SELECT count(*) FROM volt.inbox_items AS i
            WHERE i.account_id = e.account_id
              AND NOT EXISTS (SELECT FROM volt.contacts AS c WHERE c.id = i.contact_id AND c.deleted_at IS NOT NULL)
        ) - (
            -- a conversation that was read since, and is empty, is in no inbox any more
            SELECT count(*)
            FROM volt_ops.walks AS w
            JOIN volt.inbox_items AS i ON i.account_id = w.account_id AND i.contact_phone = w.contact_phone
            WHERE w.stream = 'messages' AND w.account_id = e.account_id AND w.total = 0 AND w.held = 0
              AND w.completed_at > i.loaded_at
              AND NOT EXISTS (SELECT FROM volt.contacts AS c WHERE c.id = i.contact_id AND c.deleted_at IS NOT NULL)
        ) END
        -- A text between two of our own accounts is one row, under the sender; it stands in the other's conversation too.
        + CASE WHEN e.stream = 'messages'
            AND e.contact_phone IN (SELECT n.phone_number FROM volt.account_numbers AS n)
        THEN (
            SELECT count(*)
            FROM volt.account_numbers AS theirs
            JOIN volt.account_numbers AS ours ON ours.account_id = e.account_id
            JOIN volt.messages AS m ON m.account_id = theirs.account_id AND m.contact_phone = ours.phone_number
            WHERE theirs.phone_number = e.contact_phone AND theirs.account_id <> e.account_id AND m.deleted_at IS NULL
        ) ELSE 0 END AS held,
        (
            SELECT count(*) FROM volt_ops.rejects AS r
            WHERE r.stream = e.stream AND r.account_id = e.account_id AND r.contact_phone = e.contact_phone
              AND r.resolved_at IS NULL
              -- what is stored in part counts as held
              AND NOT EXISTS (SELECT FROM volt.messages AS m WHERE r.stream = 'messages' AND m.id = r.key)
              -- and an inbox that failed as a whole is none of its rows
              AND NOT EXISTS (
                SELECT FROM volt.inbox_items AS i
                WHERE r.stream = 'inbox_items' AND i.account_id = e.account_id
                  AND r.key IN (i.account_id || '|' || i.contact_phone, i.account_id)
              )
        ) AS rejected,
        -- What has no key cannot be asked for by itself: it takes another walk.
        EXISTS (
            SELECT FROM volt_ops.rejects AS r
            WHERE e.stream = 'messages' AND r.stream = 'messages' AND r.account_id = e.account_id
              AND r.contact_phone = e.contact_phone AND r.key = '' AND r.resolved_at IS NULL
        ) AS nameless,
        -- Volt counts those too who were forgotten here.
        (
            SELECT count(*) FROM volt_ops.withheld AS f
            WHERE e.stream = 'inbox_items' AND f.account_id = e.account_id AND f.in_inbox
        ) AS withheld
    FROM stage_walks AS e
    WHERE e.reached_end OR e.below_top
),
judged AS (
    SELECT c.*, c.total - c.held - c.rejected - c.unidentifiable - c.withheld AS new_gap
    FROM counted AS c
)
UPDATE volt_ops.walks AS w
SET completed_at = now(),
    whole_at = CASE WHEN j.reached_end THEN now() ELSE w.whole_at END,
    item = w.open_item,
    top = CASE WHEN j.reached_end THEN coalesce(j.open_top, w.top) ELSE greatest(j.open_top, w.top) END,
    total = j.total,
    held = j.held,
    rejected = j.rejected,
    unidentifiable = j.unidentifiable,
    withheld = j.withheld,
    gap = j.new_gap,
    gap_tries = CASE WHEN j.new_gap = 0 AND NOT j.nameless THEN 0 WHEN j.reached_end THEN w.gap_tries + 1 ELSE w.gap_tries END,
    retry_at = CASE
        WHEN j.new_gap = 0 AND NOT j.nameless THEN NULL
        WHEN j.reached_end THEN now() + interval '1 hour' * power(2, least(w.gap_tries, 5))
        ELSE w.retry_at
    END,
    cursor = NULL,
    opened_at = NULL
FROM judged AS j
WHERE (j.reached_end OR j.new_gap = j.gap)
  AND w.stream = j.stream AND w.account_id = j.account_id AND w.contact_phone = j.contact_phone
RETURNING w.stream, w.account_id, w.contact_phone, w.gap

-- name: doubt_unseen_items
-- Of an inbox that Volt counts shorter than it is held: what its whole walk did not meet. These conversations are read
-- whole; their messages may be gone, be it before they were ever read (with a top, an empty one is believed).
INSERT INTO volt_ops.walks AS w (stream, account_id, contact_phone, top, retry_at)
SELECT 'messages', i.account_id, i.contact_phone, coalesce(i.last_message_time, i.loaded_at), now()
FROM stage_walks AS s
JOIN volt_ops.walks AS inbox USING (stream, account_id, contact_phone)
JOIN volt.inbox_items AS i ON i.account_id = s.account_id
LEFT JOIN volt_ops.readings AS r ON r.kind = 'contact' AND r.key = i.contact_id
WHERE s.stream = 'inbox_items' AND s.reached_end AND inbox.gap < 0
  AND greatest(r.read_at, i.loaded_at) < s.opened_at
ORDER BY i.account_id, i.contact_phone
ON CONFLICT (stream, account_id, contact_phone) DO UPDATE
SET retry_at = now(), top = coalesce(w.top, excluded.top)
WHERE NOT (w.total = 0 AND w.held = 0)

-- name: save_walks
INSERT INTO volt_ops.walks AS w (
    stream, account_id, contact_phone, opened_at, cursor, pages, open_item, open_top, open_total, oldest, ordered
)
SELECT stream, account_id, contact_phone, opened_at, cursor, pages, item, open_top, total, oldest, ordered
FROM stage_walks
ORDER BY stream, account_id, contact_phone
ON CONFLICT (stream, account_id, contact_phone) DO UPDATE SET
    opened_at = excluded.opened_at,
    cursor = excluded.cursor,
    pages = excluded.pages,
    open_item = excluded.open_item,
    open_top = excluded.open_top,
    open_total = excluded.open_total,
    oldest = excluded.oldest,
    ordered = excluded.ordered

-- name: close_memberships
-- A list that a later reading of the contact does not name has ended.
UPDATE volt.contact_lists AS l
SET valid_to = s.asked_at, loaded_at = s.asked_at, run_id = %(run_id)s
FROM stage_memberships AS s
WHERE l.contact_id = s.contact_id AND l.valid_to IS NULL AND l.valid_from < s.asked_at
  AND NOT (l.list_id = ANY(s.list_ids))
  -- (A subquery, so that it is asked last: of the few memberships that end.)
  AND coalesce(
    (SELECT r.read_at FROM volt_ops.readings AS r WHERE r.kind = 'contact' AND r.key = l.contact_id), s.asked_at
  ) <= s.asked_at

-- name: open_memberships
INSERT INTO volt.contact_lists (contact_id, list_id, valid_from, first_seen_at, loaded_at, run_id)
SELECT s.contact_id, joined.list_id, s.asked_at, s.asked_at, s.asked_at, %(run_id)s
FROM stage_memberships AS s
CROSS JOIN LATERAL unnest(s.list_ids) AS joined (list_id)
WHERE NOT EXISTS (
    SELECT FROM volt.contact_lists AS l
    WHERE l.contact_id = s.contact_id AND l.list_id = joined.list_id
      AND (l.valid_to IS NULL OR l.valid_to > s.asked_at)
)
AND NOT EXISTS (
    SELECT FROM volt_ops.readings AS r
    WHERE r.kind = 'contact' AND r.key = s.contact_id AND r.read_at > s.asked_at
)
ORDER BY s.contact_id, joined.list_id
ON CONFLICT DO NOTHING

-- name: stamp_contacts
INSERT INTO volt_ops.readings (kind, key, read_at)
SELECT 'contact', contact_id, asked_at FROM stage_memberships ORDER BY contact_id
ON CONFLICT (kind, key) DO UPDATE SET read_at = excluded.read_at, misses = 0
WHERE volt_ops.readings.read_at < excluded.read_at

-- name: add_discoveries
INSERT INTO volt_ops.discoveries (kind, account_id, key, via)
SELECT kind, account_id, key, via FROM unnest(
    %(kinds)s::text[], %(account_ids)s::text[], %(keys)s::text[], %(vias)s::text[]
) AS t (kind, account_id, key, via)
ORDER BY kind, account_id, key
ON CONFLICT DO NOTHING

-- name: save_readings
INSERT INTO volt_ops.readings AS r (kind, key, read_at, misses)
SELECT DISTINCT ON (kind, key) kind, key, read_at, CASE WHEN found THEN 0 ELSE 1 END
FROM unnest(
    %(kinds)s::text[], %(account_ids)s::text[], %(keys)s::text[],
    %(read_ats)s::timestamptz[], %(founds)s::boolean[], %(objects)s::text[]
) AS t (kind, account_id, key, read_at, found, object_id)
WHERE kind IN ('message', 'contact', 'webhook')
ORDER BY kind, key, read_at DESC
ON CONFLICT (kind, key) DO UPDATE SET
    read_at = greatest(r.read_at, excluded.read_at),
    misses = CASE WHEN excluded.misses = 0 THEN 0 ELSE r.misses + 1 END

-- name: save_discovery_readings
UPDATE volt_ops.discoveries AS d
SET read_at = t.read_at,
    misses = CASE WHEN t.found THEN 0 ELSE d.misses + 1 END,
    object_id = CASE WHEN t.found THEN t.object_id ELSE d.object_id END
FROM unnest(
    %(kinds)s::text[], %(account_ids)s::text[], %(keys)s::text[],
    %(read_ats)s::timestamptz[], %(founds)s::boolean[], %(objects)s::text[]
) AS t (kind, account_id, key, read_at, found, object_id)
WHERE d.kind = t.kind AND d.account_id = t.account_id AND d.key = t.key AND d.kind IN ('wave', 'list')

-- name: add_rejects
INSERT INTO volt_ops.rejects AS r (stream, account_id, contact_phone, key, reason, raw, digest, run_id)
SELECT DISTINCT ON (stream, account_id, contact_phone, key, digest)
    stream, account_id, contact_phone, key, reason, raw::jsonb, digest, %(run_id)s
FROM unnest(
    %(streams)s::text[], %(account_ids)s::text[], %(phones)s::text[], %(keys)s::text[],
    %(reasons)s::text[], %(raws)s::text[], %(digests)s::text[]
) AS t (stream, account_id, contact_phone, key, reason, raw, digest)
ORDER BY stream, account_id, contact_phone, key, digest
ON CONFLICT (stream, account_id, contact_phone, key, digest) DO UPDATE SET
    reason = excluded.reason,
    raw = excluded.raw,
    run_id = excluded.run_id,
    last_seen_at = now(),
    times = r.times + CASE WHEN r.run_id = excluded.run_id THEN 0 ELSE 1 END,
    resolved_at = NULL

-- name: resolve_nameless_rejects
-- What has no key is known to be well when a whole walk, begun after it was last seen, does not meet it again. Runs
-- before `complete_walks` counts what is in quarantine.
UPDATE volt_ops.rejects AS r
SET resolved_at = now()
FROM stage_walks AS s
WHERE r.resolved_at IS NULL AND r.key = '' AND s.reached_end
  AND r.account_id = s.account_id AND r.run_id <> %(run_id)s AND r.last_seen_at < s.opened_at
  AND CASE s.stream
      WHEN 'messages' THEN r.stream = 'messages' AND r.contact_phone = s.contact_phone
      ELSE r.stream IN ('inbox_items', 'contacts')
  END

-- name: resolve_lookup_rejects
-- What was asked for by this key, and found and stored; a list is asked for by its name.
UPDATE volt_ops.rejects AS r
SET resolved_at = now()
FROM unnest(%(kinds)s::text[], %(account_ids)s::text[], %(keys)s::text[], %(objects)s::text[])
    AS t (kind, account_id, key, object_id)
WHERE r.resolved_at IS NULL AND r.stream = t.kind || 's' AND r.account_id = t.account_id AND r.key = t.key
  AND t.object_id <> ''

-- name: resolve_gone_rejects
-- What Volt holds no more cannot be read: three clean nulls end its quarantine, and that of a contact's conversation.
UPDATE volt_ops.rejects AS r
SET resolved_at = now()
WHERE r.resolved_at IS NULL
  AND (
    EXISTS (
        SELECT FROM volt_ops.readings AS n
        WHERE n.kind || 's' = r.stream AND n.key = r.key AND n.key = ANY(%(keys)s) AND n.misses >= 3
    )
    OR EXISTS (
        SELECT FROM volt.contacts AS c
        WHERE r.stream IN ('conversations', 'messages') AND r.contact_phone <> '' AND c.deleted_at IS NOT NULL
          AND c.account_id = r.account_id AND c.phone_number = r.contact_phone AND c.id = ANY(%(keys)s)
    )
  )

-- name: resolve_walk_rejects
-- An inbox that was read to where it had to be is no reject any more.
UPDATE volt_ops.rejects AS r
SET resolved_at = now()
FROM stage_walks AS s
WHERE r.resolved_at IS NULL AND r.stream = 'inbox_items' AND s.stream = 'inbox_items'
  AND r.account_id = s.account_id AND r.key = s.account_id AND (s.reached_end OR s.below_top)

-- name: streams_with_open_rejects
SELECT DISTINCT stream FROM volt_ops.rejects WHERE resolved_at IS NULL AND key <> ''

-- name: resolve_rejects
-- What was once refused and now stands in its table is no reject any more.
UPDATE volt_ops.rejects
SET resolved_at = now()
WHERE resolved_at IS NULL AND stream = %(stream)s AND key <> '' AND key = ANY(%(keys)s)

-- name: prove_leases
-- The accounts that this run still holds, and will hold until its transaction ends; what a zombie trips over.
SELECT l.account_phone
FROM volt_ops.leases AS l
JOIN unnest(%(phones)s::text[], %(epochs)s::bigint[]) AS held (account_phone, epoch) USING (account_phone, epoch)
ORDER BY l.account_phone
FOR KEY SHARE OF l

-- name: renew_leases
UPDATE volt_ops.leases AS l
SET expires_at = now() + %(seconds)s * interval '1 second'
FROM unnest(%(phones)s::text[], %(epochs)s::bigint[]) AS held (account_phone, epoch)
WHERE l.account_phone = held.account_phone AND l.epoch = held.epoch
RETURNING l.account_phone

-- name: take_leases
-- A lease is free when it was released, ran out, or its holder's connection to this server is gone.
WITH wanted AS (
    SELECT l.account_phone
    FROM volt_ops.leases AS l
    WHERE l.account_phone = ANY(%(phones)s)
      AND (
        l.expires_at IS NULL
        OR l.expires_at < now()
        OR NOT EXISTS (
            SELECT FROM pg_stat_activity AS a
            WHERE a.pid = l.backend_pid AND coalesce(a.backend_start, l.backend_start) = l.backend_start
        )
      )
    ORDER BY l.account_phone
    FOR UPDATE
)
UPDATE volt_ops.leases AS l
SET epoch = l.epoch + 1,
    holder = %(holder)s,
    run_id = %(run_id)s,
    backend_pid = pg_backend_pid(),
    backend_start = (SELECT a.backend_start FROM pg_stat_activity AS a WHERE a.pid = pg_backend_pid()),
    taken_at = now(),
    expires_at = now() + %(seconds)s * interval '1 second'
FROM wanted
WHERE l.account_phone = wanted.account_phone
RETURNING l.account_phone, l.epoch

-- name: move_leases
-- The same run, on a new connection.
UPDATE volt_ops.leases AS l
SET backend_pid = pg_backend_pid(),
    backend_start = (SELECT a.backend_start FROM pg_stat_activity AS a WHERE a.pid = pg_backend_pid())
FROM unnest(%(phones)s::text[], %(epochs)s::bigint[]) AS held (account_phone, epoch)
WHERE l.account_phone = held.account_phone AND l.epoch = held.epoch

-- name: release_leases
UPDATE volt_ops.leases AS l
SET expires_at = NULL, backend_pid = NULL
FROM unnest(%(phones)s::text[], %(epochs)s::bigint[]) AS held (account_phone, epoch)
WHERE l.account_phone = held.account_phone AND l.epoch = held.epoch

-- name: lease_holders
SELECT account_phone, holder, taken_at
FROM volt_ops.leases
WHERE account_phone = ANY(%(phones)s)
ORDER BY account_phone

-- name: account_numbers
SELECT phone_number, account_id FROM volt.account_numbers

-- name: accounts
SELECT primary_phone, id FROM volt.accounts WHERE primary_phone = ANY(%(phones)s) AND deleted_at IS NULL

-- name: coverage
-- Held against Volt's own totals, a stream a row. More than Volt's total (it forgot some) counts as all.
SELECT
    stream,
    count(*) AS subjects,
    sum(least(held + rejected + unidentifiable + withheld, total))::bigint AS held,
    sum(total)::bigint AS total,
    count(*) FILTER (WHERE gap <> 0) AS with_gap,
    sum(rejected)::bigint AS rejected,
    sum(unidentifiable)::bigint AS unidentifiable
FROM volt_ops.coverage
GROUP BY stream
ORDER BY stream

-- name: oldest_contact_reading
SELECT extract(epoch FROM now() - min(r.read_at))::float
FROM volt.contacts AS c
JOIN volt_ops.readings AS r ON r.kind = 'contact' AND r.key = c.id
WHERE c.deleted_at IS NULL

-- name: ledger
-- What was found through what, and how much of it could never be read.
SELECT kind, via, count(*), count(*) FILTER (WHERE object_id IS NULL AND read_at IS NOT NULL)
FROM volt_ops.discoveries
GROUP BY 1, 2
UNION ALL
SELECT 'number', evidence, count(*), 0 FROM volt.account_numbers GROUP BY 2
ORDER BY 1, 2

-- name: retry_walks
-- Make what is in quarantine due again: its conversation is read whole, …
UPDATE volt_ops.walks AS w
SET retry_at = now()
FROM volt_ops.rejects AS r
WHERE r.resolved_at IS NULL AND r.account_id = w.account_id
  AND (
    (w.stream = 'messages' AND r.stream IN ('messages', 'conversations') AND r.contact_phone = w.contact_phone)
    OR (w.stream = 'inbox_items' AND r.stream NOT IN ('messages', 'conversations', 'waves', 'lists', 'webhooks'))
  )

-- name: retry_lookups
-- … its waves and lists looked up, …
UPDATE volt_ops.discoveries AS d
SET read_at = NULL, misses = 0
WHERE EXISTS (
    SELECT FROM volt_ops.rejects AS r WHERE r.resolved_at IS NULL AND r.stream = d.kind || 's'
)

-- name: close_rejects
-- … and what is still wrong with it then comes back into quarantine.
UPDATE volt_ops.rejects SET resolved_at = now() WHERE resolved_at IS NULL

-- name: list_rejects
SELECT
    r.id, r.stream, coalesce(a.primary_phone, r.account_id), r.reason, r.times,
    to_char(r.first_seen_at, 'YYYY-MM-DD HH24:MI'), to_char(r.last_seen_at, 'YYYY-MM-DD HH24:MI')
FROM volt_ops.rejects AS r
LEFT JOIN volt.accounts AS a ON a.id = r.account_id
WHERE r.resolved_at IS NULL
ORDER BY r.id

-- name: open_rejects
SELECT stream, reason, count(*), min(first_seen_at), max(last_seen_at)
FROM volt_ops.rejects
WHERE resolved_at IS NULL
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2

-- name: rejects_of_run
SELECT stream, reason, count(*)
FROM volt_ops.rejects
WHERE run_id = %(run_id)s AND resolved_at IS NULL
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2

-- name: last_runs
SELECT left(run_id, 8), kind, to_char(started_at, 'YYYY-MM-DD HH24:MI:SS'), extract(epoch FROM finished_at - started_at)::float, outcome
FROM volt_ops.runs
WHERE kind <> 'webhook'  -- there are many, and event_figures sums them up
ORDER BY started_at DESC
LIMIT 5

-- name: start_run
-- A push of contacts and then of lists is one run: while a part of it is at work, the run is.
INSERT INTO volt_ops.runs (run_id, kind) VALUES (%(run_id)s, %(kind)s)
ON CONFLICT (run_id) DO UPDATE SET outcome = 'running', finished_at = NULL

-- name: finish_run
-- A run ends as its worst part did. Unless it failed, it is not over while it has a plan that waits to be carried out.
UPDATE volt_ops.runs AS r
SET outcome = e.outcome, finished_at = CASE WHEN e.outcome <> 'running' THEN now() END, report = e.report
FROM (
    SELECT
        p.report,
        CASE
            WHEN 'failed' = ANY(p.outcomes) THEN 'failed'
            WHEN EXISTS (
                SELECT FROM volt_ops.push_plans AS n WHERE n.run_id = %(run_id)s AND n.applied_at IS NULL
            ) THEN 'running'
            WHEN 'rejected' = ANY(p.outcomes) THEN 'rejected'
            ELSE 'succeeded'
        END AS outcome
    FROM (
        SELECT
            m.report,
            %(outcome)s::text || ARRAY(SELECT part.value ->> 'outcome' FROM jsonb_each(m.report) AS part) AS outcomes
        FROM (
            SELECT coalesce(report, '{}') || %(report)s::jsonb AS report
            FROM volt_ops.runs
            WHERE run_id = %(run_id)s
        ) AS m
    ) AS p
) AS e
WHERE r.run_id = %(run_id)s
