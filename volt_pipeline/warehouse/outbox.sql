-- The statements of sending (outbox.py), by name: see queries.sql.

-- name: outbox_claim
-- The next intent that is due, for one sender alone: two senders never stand at the same row.
UPDATE volt_ops.outbox AS o
SET
    state = 'queued',
    reason = CASE WHEN o.state = 'held' THEN 'due again: ' || coalesce(o.reason, '') ELSE o.reason END,
    claimed_by = %(owner)s,
    claimed_until = %(until)s
FROM (
    SELECT intent_id
    FROM volt_ops.outbox
    WHERE state IN ('queued', 'held') AND coalesce(due_at, '-infinity') <= %(now)s
        AND (claimed_until IS NULL OR claimed_until <= %(now)s)
    ORDER BY coalesce(due_at, '-infinity'), intent_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
) AS next
WHERE o.intent_id = next.intent_id
RETURNING
    o.intent_id, o.intent_key, o.kind, o.account_phone, o.body, o.expires_at, o.to_phone, o.contact_numbers,
    o.list_names, o.wave_name, o.media, o.scheduled_at, o.state, o.tries, o.attempted_at, o.snapshot, o.snapshot_top,
    o.claimed_until

-- name: outbox_settle
UPDATE volt_ops.outbox
SET state = %(state)s, reason = %(reason)s, due_at = %(due_at)s, claimed_by = NULL, claimed_until = NULL
WHERE intent_id = %(intent_id)s AND claimed_by = %(owner)s AND state = 'queued'
RETURNING intent_id

-- name: outbox_kill_switch
-- A switch that is gone counts as engaged.
SELECT coalesce((SELECT engaged FROM volt_ops.controls WHERE name = 'kill_switch'), true)

-- name: outbox_hold_all
-- What is due, for a reason that holds for all: the kill switch, the cap of a run.
UPDATE volt_ops.outbox
SET state = 'held', reason = %(reason)s, due_at = %(due_at)s
WHERE state = 'queued' AND coalesce(due_at, '-infinity') <= %(now)s
    AND (claimed_until IS NULL OR claimed_until <= %(now)s)

-- name: outbox_lock_recipients
-- Senders that mean the same person count one after the other; in order, so that none waits for another for ever.
SELECT pg_advisory_xact_lock(hashtextextended('volt_ops.outbox ' || phone, 0))
FROM unnest(%(phones)s::text[]) AS p(phone)
ORDER BY phone

-- name: outbox_suppressed
SELECT DISTINCT phone_number
FROM volt_ops.suppressions
WHERE phone_number = ANY(%(phones)s::text[]) AND lifted_at IS NULL
    AND (account_phone IS NULL OR account_phone = %(account_phone)s)

-- name: outbox_full_since
-- When the text went out that must be a day old before one of these phones may get another; no row: it may now.
SELECT max(counted.attempted_at)
FROM unnest(%(phones)s::text[]) AS p(phone)
CROSS JOIN LATERAL (
    SELECT o.attempted_at
    FROM volt_ops.outbox AS o
    WHERE (o.to_phone = p.phone OR (o.kind = 'scheduled_message' AND o.contact_numbers @> ARRAY[p.phone]))
        AND o.attempted_at > %(since)s AND o.state NOT IN ('queued', 'held', 'rejected')
    ORDER BY o.attempted_at DESC
    OFFSET %(others)s
    LIMIT 1
) AS counted

-- name: outbox_begin
UPDATE volt_ops.outbox
SET
    state = 'attempting', reason = NULL, due_at = NULL, tries = tries + 1, attempted_at = %(now)s,
    claimed_until = %(until)s, match_key = %(match_key)s, wave_status = %(wave_status)s,
    snapshot = coalesce(snapshot, %(snapshot)s::jsonb), snapshot_top = coalesce(snapshot_top, %(snapshot_top)s)
WHERE intent_id = %(intent_id)s AND claimed_by = %(owner)s AND state = 'queued'
RETURNING intent_id

-- name: outbox_end
UPDATE volt_ops.outbox
SET
    state = %(state)s, reason = %(reason)s, due_at = %(due_at)s, proof = %(proof)s, message_id = %(message_id)s,
    wave_id = %(wave_id)s, claimed_by = NULL, claimed_until = NULL
WHERE intent_id = %(intent_id)s AND claimed_by = %(owner)s AND state = 'attempting'
RETURNING intent_id

-- name: outbox_end_late
-- The answer came after the sender was given up.
UPDATE volt_ops.outbox
SET state = 'accepted', reason = %(reason)s, due_at = NULL, message_id = %(message_id)s, wave_id = %(wave_id)s
WHERE intent_id = %(intent_id)s AND state = 'unknown'
RETURNING intent_id

-- name: outbox_take_over
UPDATE volt_ops.outbox
SET
    state = 'unknown', reason = 'its sender did not report back', due_at = attempted_at + %(first_look)s,
    claimed_by = NULL, claimed_until = NULL
WHERE state = 'attempting' AND coalesce(claimed_until, '-infinity') <= %(now)s

-- name: outbox_due_looks
SELECT
    intent_id, intent_key, kind, account_phone, body, expires_at, to_phone, contact_numbers, list_names, wave_name,
    media, scheduled_at, state, tries, attempted_at, snapshot, snapshot_top, claimed_until
FROM volt_ops.outbox
WHERE state = 'unknown' AND coalesce(due_at, '-infinity') <= %(now)s
ORDER BY due_at, intent_id
LIMIT 200

-- name: outbox_unclaimed
SELECT DISTINCT u.id
FROM unnest(%(ids)s::text[]) AS u(id)
WHERE NOT EXISTS (SELECT FROM volt_ops.outbox AS o WHERE o.message_id = u.id)

-- name: outbox_found
UPDATE volt_ops.outbox
SET state = 'accepted', reason = %(reason)s, due_at = NULL, message_id = %(message_id)s, wave_id = %(wave_id)s
WHERE intent_id = %(intent_id)s AND state = 'unknown'
RETURNING intent_id

-- name: outbox_not_found
UPDATE volt_ops.outbox
SET state = %(state)s, reason = coalesce(%(reason)s, reason), due_at = %(due_at)s
WHERE intent_id = %(intent_id)s AND state = 'unknown'

-- name: outbox_waves_named
SELECT id FROM volt.waves WHERE name = %(wave_name)s AND deleted_at IS NULL

-- name: outbox_account
SELECT
    (SELECT a.id FROM volt.accounts AS a WHERE a.primary_phone = %(account_phone)s AND a.deleted_at IS NULL LIMIT 1),
    ARRAY(
        SELECT n.phone_number FROM volt.account_numbers AS n WHERE n.phone_number = ANY(%(phones)s::text[])
        UNION
        SELECT a.primary_phone FROM volt.accounts AS a WHERE a.primary_phone = ANY(%(phones)s::text[])
    )

-- name: outbox_consent
SELECT contact_phone, bool_and(can_text), bool_or(consent = 'opt_out')
FROM volt_marts.contacts
WHERE account_id = %(account_id)s AND contact_phone = ANY(%(phones)s::text[])
GROUP BY contact_phone

-- name: outbox_said
-- The short inbound texts of these people, the newest first: a word that changes consent is the whole of its text.
-- Deleted ones too: what was said was said.
SELECT p.phone, m.body, m.at
FROM unnest(%(phones)s::text[]) AS p(phone)
CROSS JOIN LATERAL (
    SELECT body, coalesce(sent_at, confirmed_at, first_seen_at) AS at
    FROM volt.messages
    WHERE account_id = %(account_id)s AND contact_phone = p.phone
        AND (from_number = p.phone OR status = 'received') AND char_length(body) BETWEEN 1 AND 200
    ORDER BY 2 DESC
    LIMIT 200
) AS m

-- name: outbox_zone
SELECT time_zone FROM volt_staging.account_zones WHERE account_phone = %(account_phone)s

-- name: outbox_default_zone
SELECT time_zone FROM volt_marts.accounts WHERE primary_phone = %(account_phone)s

-- name: outbox_keywords
SELECT keyword, effect FROM volt_staging.consent_keywords

-- name: outbox_rates
SELECT channel, usd_per_unit FROM volt_staging.message_rates WHERE direction = 'outbound'

-- name: outbox_approval
SELECT approved_size FROM volt_ops.wave_approvals WHERE intent_key = %(intent_key)s ORDER BY id DESC LIMIT 1

-- name: outbox_opted_out_members
-- Known members of the lists who must not be texted, though Volt would: it knows only its own `blocked`.
SELECT count(DISTINCT c.contact_phone)
FROM volt.lists AS l
INNER JOIN volt.contact_lists AS i ON i.list_id = l.id AND i.valid_to IS NULL
INNER JOIN volt_marts.contacts AS c ON c.contact_id = i.contact_id
WHERE l.account_id = %(account_id)s AND l.name = ANY(%(list_names)s::text[]) AND l.deleted_at IS NULL
    AND NOT coalesce(c.blocked, false)
    AND (
        NOT c.can_text OR EXISTS (
            SELECT FROM volt_ops.suppressions AS s
            WHERE s.phone_number = c.contact_phone AND s.lifted_at IS NULL
                AND (s.account_phone IS NULL OR s.account_phone = %(account_phone)s)
        )
    )

-- name: outbox_counts
-- What stands in the outbox, by state; of what is over, only the last day.
SELECT state, count(*), min(changed_at)
FROM volt_ops.outbox
WHERE state NOT IN ('accepted', 'rejected', 'cancelled') OR changed_at > now() - interval '24 hours'
GROUP BY state
ORDER BY state

-- name: outbox_open
-- The intents that are not over, those first that need somebody.
SELECT
    o.intent_id, o.intent_key, o.kind, o.account_phone, o.body, o.expires_at, o.to_phone, o.contact_numbers,
    o.list_names, o.wave_name, o.media, o.scheduled_at, o.state, o.tries, o.attempted_at, o.reason, o.due_at,
    (
        SELECT w.approved_size FROM volt_ops.wave_approvals AS w WHERE w.intent_key = o.intent_key ORDER BY w.id DESC LIMIT 1
    ) AS approved_size
FROM volt_ops.outbox AS o
WHERE o.state = ANY(%(states)s::text[])
ORDER BY array_position(ARRAY['needs_person', 'unknown', 'attempting', 'queued', 'held'], o.state), o.intent_id
LIMIT %(most)s

-- name: outbox_one
SELECT
    o.intent_id, o.kind, o.account_phone, o.to_phone, o.contact_numbers, o.state, o.reason, o.tries, o.attempted_at,
    o.scheduled_at, o.due_at, o.wave_name, o.intent_key, coalesce(jsonb_array_length(o.snapshot), 0) AS stood_before,
    (
        SELECT e.reason FROM volt_ops.outbox_events AS e
        WHERE e.intent_id = o.intent_id AND e.to_state = 'unknown'
        ORDER BY e.event_id DESC LIMIT 1
    ) AS doubt
FROM volt_ops.outbox AS o
WHERE o.intent_id = %(intent_id)s

-- name: outbox_resolve
-- What a person has looked at stands no longer in the way: the next attempt takes a snapshot of its own.
UPDATE volt_ops.outbox
SET
    state = %(state)s, reason = %(reason)s, decided_by = %(decided_by)s, decided_why = %(decided_why)s,
    decided_at = clock_timestamp(), due_at = NULL, snapshot = NULL, snapshot_top = NULL, match_key = NULL,
    claimed_by = NULL, claimed_until = NULL
WHERE intent_id = %(intent_id)s AND state = 'needs_person'
RETURNING intent_id

-- name: outbox_cancel
UPDATE volt_ops.outbox
SET state = 'cancelled', reason = %(reason)s, claimed_by = NULL, claimed_until = NULL
WHERE intent_id = %(intent_id)s AND state IN ('queued', 'held')
RETURNING intent_id

-- name: outbox_switch
INSERT INTO volt_ops.controls AS c (name, engaged, reason, changed_by)
VALUES ('kill_switch', %(engaged)s, %(reason)s, %(changed_by)s)
ON CONFLICT (name) DO UPDATE
SET engaged = excluded.engaged, reason = excluded.reason, changed_by = excluded.changed_by, changed_at = now()
