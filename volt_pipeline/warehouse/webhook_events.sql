-- Webhook events: how they come in, how they are taken up, and what became of them.

-- name: keep_events
-- Replays and duplicates are one row. One that is known by its body alone may be news all the same (a second "ok" from
-- the same person), so it is looked at again; one with an id of its own is not.
INSERT INTO volt_ops.webhook_events AS e (event_key, scheme, signed_by, sent_at, body, deliveries)
SELECT event_key, scheme, signed_by, sent_at, body, deliveries
FROM unnest(
    %(keys)s::text[], %(schemes)s::text[], %(signers)s::text[], %(sent_ats)s::timestamptz[], %(bodies)s::bytea[],
    %(deliveries)s::integer[]
) AS t (event_key, scheme, signed_by, sent_at, body, deliveries)
ORDER BY event_key
ON CONFLICT (event_key) DO UPDATE SET
    deliveries = e.deliveries + excluded.deliveries,
    last_received_at = now(),
    processed_at = CASE WHEN e.sent_at IS NULL AND e.outcome = 'refreshed' THEN NULL ELSE e.processed_at END,
    outcome = CASE WHEN e.sent_at IS NULL AND e.outcome = 'refreshed' THEN NULL ELSE e.outcome END,
    tries = CASE WHEN e.sent_at IS NULL AND e.outcome = 'refreshed' THEN 0 ELSE e.tries END,
    due_at = CASE
        WHEN e.sent_at IS NULL AND e.outcome = 'refreshed' THEN greatest(now(), e.processed_at + interval '10 seconds')
        ELSE e.due_at
    END

-- name: prune_events
-- They hold texts. One that nobody took up in all that time is of no use either: polling has found it long ago. Some at
-- a time: no statement of the receiver may take long.
WITH gone AS (
    DELETE FROM volt_ops.webhook_events
    WHERE id IN (
        SELECT id FROM volt_ops.webhook_events WHERE received_at < now() - %(days)s * interval '1 day' LIMIT %(limit)s
    )
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: drop_events
DELETE FROM volt_ops.webhook_events WHERE id = ANY(%(ids)s)

-- name: notice_registrations
-- The open registrations; says of each that a receiver is up.
UPDATE volt_ops.webhook_registrations
SET noticed_at = coalesce(noticed_at, now())
WHERE closed_at IS NULL AND expires_at > now()
RETURNING id

-- name: open_registration
INSERT INTO volt_ops.webhook_registrations (url, expires_at)
VALUES (%(target)s, now() + %(seconds)s * interval '1 second')
RETURNING id

-- name: registration_noticed
SELECT noticed_at IS NOT NULL FROM volt_ops.webhook_registrations WHERE id = %(id)s

-- name: close_registration
UPDATE volt_ops.webhook_registrations SET closed_at = now(), outcome = %(outcome)s WHERE id = %(id)s

-- name: news
-- Whether there is something to take up, or to delete.
SELECT
    EXISTS (SELECT FROM volt_ops.webhook_events WHERE processed_at IS NULL AND due_at <= now()),
    EXISTS (SELECT FROM volt_ops.webhook_events WHERE received_at < now() - %(days)s * interval '1 day')

-- name: claim_events
-- Taking an event up moves its due_at ahead: a run that is killed or fails leaves it to a later one.
UPDATE volt_ops.webhook_events AS e
SET tries = e.tries + 1, due_at = now() + interval '30 seconds' * power(2, least(e.tries, 6)), run_id = %(run_id)s
FROM (
    SELECT id
    FROM volt_ops.webhook_events
    WHERE processed_at IS NULL AND due_at <= now()
    ORDER BY due_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE e.id = due.id
RETURNING e.id, e.body, e.tries, clock_timestamp()

-- name: settle_events
-- One that came again after it was taken up stays due: what was read may be older.
UPDATE volt_ops.webhook_events AS e
SET event_type = t.event_type,
    direction = t.direction,
    message_id = t.message_id,
    account_id = t.account_id,
    contact_phone = t.contact_phone,
    outcome = CASE WHEN e.last_received_at <= t.taken_at THEN t.outcome END,
    reason = t.reason,
    processed_at = CASE WHEN e.last_received_at <= t.taken_at AND t.outcome IS NOT NULL THEN clock_timestamp() END,
    due_at = CASE WHEN e.last_received_at <= t.taken_at THEN e.due_at ELSE now() END
FROM unnest(
    %(ids)s::bigint[], %(taken_ats)s::timestamptz[], %(event_types)s::text[], %(directions)s::text[],
    %(message_ids)s::text[], %(account_ids)s::text[], %(phones)s::text[], %(outcomes)s::text[], %(reasons)s::text[]
) AS t (id, taken_at, event_type, direction, message_id, account_id, contact_phone, outcome, reason)
WHERE e.id = t.id

-- name: held_messages
SELECT id, account_id, coalesce(contact_phone, '') FROM volt.messages WHERE id = ANY(%(ids)s) AND deleted_at IS NULL

-- name: accounts_of_contacts
-- Whose contacts these phones are: for an event between a contact and a number of ours that is not known yet.
SELECT phone_number, account_id
FROM volt.contacts
WHERE phone_number = ANY(%(phones)s) AND account_id = ANY(%(account_ids)s) AND deleted_at IS NULL

-- name: event_figures
-- The last 7 days: events, deliveries, those that wait, those set aside, and the median seconds to the refreshed row.
SELECT
    count(*),
    coalesce(sum(deliveries), 0)::bigint,
    count(*) FILTER (WHERE processed_at IS NULL),
    count(*) FILTER (WHERE outcome = 'set_aside'),
    percentile_cont(0.5) WITHIN GROUP (
        ORDER BY extract(epoch FROM processed_at - last_received_at)
    ) FILTER (WHERE outcome = 'refreshed')
FROM volt_ops.webhook_events
WHERE received_at > now() - interval '7 days'

-- name: polling_share
-- Of the changes of the last 7 days, how many there were, and the share that polling found first.
SELECT coalesce(sum(changes), 0)::bigint, (sum(found_by_polling) / nullif(sum(changes), 0))::float
FROM volt_ops.webhook_freshness
WHERE day > current_date - 7
