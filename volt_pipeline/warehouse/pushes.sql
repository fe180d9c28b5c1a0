-- The statements of a push (pushes.py), by name: see queries.sql.

-- name: record_pushes
-- One statement a document: what became of its rows, all or none.
INSERT INTO volt_ops.pushes (
    run_id, plan_id, export, position, row_key, account_phone, row_digest, action, outcome, reason, tries, waited,
    before, sent, after
)
SELECT
    %(run_id)s, %(plan_id)s, r.export, r.position, r.row_key, r.account_phone, r.row_digest, r.action, r.outcome,
    r.reason, r.tries, r.waited, nullif(r.before, 'null'), nullif(r.sent, 'null'), nullif(r.after, 'null')
FROM ROWS FROM (
    jsonb_to_recordset(%(attempts)s::jsonb) AS (
        export text, position integer, row_key text, account_phone text, row_digest text, action text, outcome text,
        reason text, tries integer, waited boolean, before jsonb, sent jsonb, after jsonb
    )
) WITH ORDINALITY AS r (
    export, position, row_key, account_phone, row_digest, action, outcome, reason, tries, waited, before, sent, after,
    number
)
ORDER BY r.number

-- name: lost_leases
-- Asked before each document; it locks nothing, so that it never waits for a load that proves the same leases.
SELECT held.account_phone
FROM unnest(%(phones)s::text[], %(epochs)s::bigint[]) AS held (account_phone, epoch)
WHERE NOT EXISTS (
    SELECT FROM volt_ops.leases AS l WHERE l.account_phone = held.account_phone AND l.epoch = held.epoch
)

-- name: discover_pushed_lists
-- The next sync reads the lists that were pushed, again if they were known: their sizes may come later.
INSERT INTO volt_ops.discoveries AS d (kind, account_id, key, via)
SELECT 'list', a.id, p.name, 'pushes'
FROM unnest(%(account_phones)s::text[], %(names)s::text[]) AS p(account_phone, name)
INNER JOIN volt.accounts AS a ON a.primary_phone = p.account_phone
ON CONFLICT (kind, account_id, key) DO UPDATE SET read_at = NULL

-- name: held_contacts
SELECT a.primary_phone AS account_phone, c.phone_number AS row_key, c.name, c.blocked, c.custom_fields
FROM volt.contacts AS c
INNER JOIN volt.accounts AS a ON a.id = c.account_id
WHERE c.deleted_at IS NULL AND c.phone_number IS NOT NULL

-- name: held_lists
SELECT
    a.primary_phone AS account_phone, l.name AS row_key, l.size, l.query_source_list_name, l.query_name_search_term,
    l.query_custom_fields
FROM volt.lists AS l
INNER JOIN volt.accounts AS a ON a.id = l.account_id
WHERE l.deleted_at IS NULL AND l.name IS NOT NULL

-- name: push_own_numbers
SELECT phone_number FROM volt.account_numbers WHERE phone_number IS NOT NULL
UNION
SELECT primary_phone FROM volt.accounts WHERE primary_phone IS NOT NULL AND deleted_at IS NULL

-- name: push_field_types
-- What types contacts show of each custom field: rules of lists are checked against them.
SELECT DISTINCT f.value ->> 'key', lower(f.value ->> 'type')
FROM volt.contacts AS c
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(c.custom_fields) WHEN 'array' THEN c.custom_fields ELSE '[]' END
) AS f
WHERE c.deleted_at IS NULL AND f.value ->> 'key' IS NOT NULL AND f.value ->> 'type' IS NOT NULL

-- name: push_failures
-- The last try of each row whose last try failed. A row that only waited since has not been tried since.
SELECT f.account_phone, f.row_key, coalesce(f.row_digest, ''), greatest(f.tries, 1), f.pushed_at, coalesce(f.reason, ''), f.outcome
FROM (
    SELECT DISTINCT ON (account_phone, row_key) *
    FROM volt_ops.pushes
    WHERE export = %(export)s AND outcome IN ('failed', 'unknown') AND NOT waited
    ORDER BY account_phone, row_key, id DESC
) AS f
WHERE NOT EXISTS (
    SELECT FROM volt_ops.pushes AS p
    WHERE p.export = f.export AND p.account_phone = f.account_phone AND p.row_key = f.row_key AND p.id > f.id
        AND NOT p.waited
)

-- name: push_approvals
-- The oldest open approval of each contact.
SELECT DISTINCT ON (account_phone, phone_number) account_phone, phone_number, id, approved_by
FROM volt_ops.unblock_approvals
WHERE used_at IS NULL
ORDER BY account_phone, phone_number, id

-- name: claim_approval
UPDATE volt_ops.unblock_approvals SET used_at = now(), used_by_run = %(run_id)s
WHERE id = %(id)s AND used_at IS NULL
RETURNING id

-- name: release_approval
UPDATE volt_ops.unblock_approvals SET used_at = NULL, used_by_run = NULL
WHERE id = %(id)s AND used_by_run = %(run_id)s

-- name: store_plan
INSERT INTO volt_ops.push_plans (plan_id, export, digest, rows, counts, row_count, run_id)
VALUES (%(plan_id)s, %(export)s, %(digest)s, %(rows)s, %(counts)s, %(row_count)s, %(run_id)s)

-- name: find_plan
SELECT export, digest, rows, applied_by_run FROM volt_ops.push_plans WHERE plan_id = %(plan_id)s

-- name: begin_plan
-- A plan is carried out once.
UPDATE volt_ops.push_plans SET applied_at = now(), applied_by_run = %(run_id)s
WHERE plan_id = %(plan_id)s AND applied_at IS NULL
RETURNING plan_id

-- name: last_pushed_rows
SELECT row_count FROM volt_ops.push_plans
WHERE export = %(export)s AND applied_at IS NOT NULL AND row_count > 0
ORDER BY applied_at DESC
LIMIT 1

-- name: plans_of_run
SELECT plan_id, export, counts, rows, applied_at IS NOT NULL
FROM volt_ops.push_plans
WHERE run_id = %(run_id)s OR applied_by_run = %(run_id)s
ORDER BY export, created_at

-- name: end_plan
UPDATE volt_ops.push_plans SET stopped = %(stopped)s, odd_sizes = %(odd_sizes)s WHERE plan_id = %(plan_id)s

-- name: push_verdicts
-- Of each export that the run pushed, or of its last push: how every planned row ended.
-- balanced: each has exactly one outcome, sent + unchanged + refused + failed + unknown = planned.
SELECT
    p.export, p.row_count AS planned,
    count(*) FILTER (WHERE a.outcome = 'sent') AS sent,
    count(*) FILTER (WHERE a.outcome = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE a.outcome = 'refused') AS refused,
    count(*) FILTER (WHERE a.outcome = 'failed') AS failed,
    count(*) FILTER (WHERE a.outcome = 'unknown') AS unknown,
    count(a.id) = p.row_count AND count(DISTINCT a.position) = p.row_count AS balanced,
    coalesce(p.stopped, 'it did not come to its end') AS stopped,
    coalesce(p.odd_sizes, '[]') AS odd_sizes
FROM (
    SELECT DISTINCT ON (export) *
    FROM volt_ops.push_plans
    WHERE applied_at IS NOT NULL AND (applied_by_run = %(run_id)s OR %(run_id)s IS NULL)
    ORDER BY export, applied_at DESC
) AS p
LEFT JOIN volt_ops.pushes AS a ON a.plan_id = p.plan_id AND a.run_id = p.applied_by_run
GROUP BY p.plan_id, p.export, p.row_count, p.stopped, p.odd_sizes
ORDER BY p.export

-- name: push_outcomes
SELECT export, action, outcome, reason, count(*)
FROM volt_ops.pushes
WHERE run_id = %(run_id)s
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
