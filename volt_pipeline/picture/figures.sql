-- What the page shows (reading.py), by name. Days are those of each account's own calendar; `now` is given. The month
-- is today and the 29 days before it. Only marts and volt_ops are read, and nothing that names a person.

-- name: period
SELECT
    (SELECT coalesce(max((%(now)s::timestamptz AT TIME ZONE a.time_zone)::date), (%(now)s::timestamptz)::date)
        FROM volt_marts.accounts AS a) AS today,
    (SELECT min(d.day) FROM volt_marts.account_daily AS d) AS first_day

-- name: account_months
-- An account a row: its month, and the 30 days before.
SELECT
    coalesce(a.account_name, 'account ' || d.account_id) AS account,
    coalesce(sum(d.inbound) FILTER (WHERE t.is_month), 0)::bigint AS inbound,
    coalesce(sum(d.outbound) FILTER (WHERE t.is_month), 0)::bigint AS outbound,
    coalesce(sum(d.inbound) FILTER (WHERE NOT t.is_month), 0)::bigint AS inbound_before,
    coalesce(sum(d.outbound) FILTER (WHERE NOT t.is_month), 0)::bigint AS outbound_before,
    coalesce(sum(d.delivered) FILTER (WHERE t.is_month), 0)::bigint AS delivered,
    coalesce(sum(d.failed) FILTER (WHERE t.is_month), 0)::bigint AS failed,
    coalesce(sum(d.pending) FILTER (WHERE t.is_month), 0)::bigint AS pending,
    coalesce(sum(d.delivered) FILTER (WHERE NOT t.is_month), 0)::bigint AS delivered_before,
    coalesce(sum(d.failed) FILTER (WHERE NOT t.is_month), 0)::bigint AS failed_before,
    coalesce(sum(d.opt_outs) FILTER (WHERE t.is_month), 0)::bigint AS opt_outs,
    coalesce(sum(d.opt_outs) FILTER (WHERE NOT t.is_month), 0)::bigint AS opt_outs_before
FROM volt_marts.account_daily AS d
LEFT JOIN volt_marts.accounts AS a ON a.account_id = d.account_id
CROSS JOIN LATERAL (
    SELECT (%(now)s::timestamptz AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date - d.day AS age
) AS g
CROSS JOIN LATERAL (SELECT g.age < 30 AS is_month) AS t
WHERE g.age BETWEEN 0 AND 59
GROUP BY d.account_id, a.account_name
ORDER BY sum(d.inbound + d.outbound) FILTER (WHERE t.is_month) DESC NULLS LAST, account

-- name: days
SELECT
    d.day,
    sum(d.inbound)::bigint AS inbound,
    sum(d.outbound)::bigint AS outbound,
    sum(d.unknown)::bigint AS unknown
FROM volt_marts.account_daily AS d
WHERE d.day BETWEEN %(today)s::date - 59 AND %(today)s
GROUP BY d.day
ORDER BY d.day

-- name: months
SELECT
    date_trunc('month', d.day)::date AS month,
    sum(d.inbound)::bigint AS inbound,
    sum(d.outbound)::bigint AS outbound,
    sum(d.unknown)::bigint AS unknown,
    sum(d.delivered)::bigint AS delivered,
    sum(d.failed)::bigint AS failed,
    sum(d.pending)::bigint AS pending,
    sum(d.opt_outs)::bigint AS opt_outs,
    sum(d.estimated_cost_usd)::float AS usd
FROM volt_marts.account_daily AS d
GROUP BY 1
ORDER BY 1 DESC

-- name: delivery_weeks
SELECT
    date_trunc('week', d.day)::date AS week,
    sum(d.delivered)::bigint AS delivered,
    sum(d.failed)::bigint AS failed,
    sum(d.pending)::bigint AS pending
FROM volt_marts.account_daily AS d
WHERE d.day BETWEEN date_trunc('week', %(today)s::date)::date - 175 AND %(today)s
GROUP BY 1
ORDER BY 1

-- name: failures
-- Why texts of the month failed; Volt's own words may hold a number.
SELECT
    left(regexp_replace(m.failure_reason, %(number)s, '(number)', 'g'), 80) AS reason,
    count(*) AS texts
FROM volt_marts.messages AS m
LEFT JOIN volt_marts.accounts AS a ON a.account_id = m.account_id
WHERE m.direction = 'outbound' AND lower(m.status) = 'failed'
  AND (%(now)s::timestamptz AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date - m.local_day BETWEEN 0 AND 29
GROUP BY 1
ORDER BY 2 DESC, 1

-- name: costs
-- The month's texts of an account, and how long those that are not settled have been on their way.
SELECT
    coalesce(a.account_name, 'account ' || m.account_id) AS account,
    count(*) AS texts,
    count(m.estimated_cost_usd) AS priced,
    sum(m.estimated_cost_usd)::float AS usd,
    sum(m.segments) FILTER (WHERE m.estimated_cost_usd IS NOT NULL)::bigint AS segments,
    count(*) FILTER (
        WHERE m.direction = 'outbound' AND NOT m.is_final AND NOT m.is_deleted
          AND coalesce(m.sent_at, m.first_seen_at) < %(now)s::timestamptz - interval '72 hours'
    ) AS stuck
FROM volt_marts.messages AS m
LEFT JOIN volt_marts.accounts AS a ON a.account_id = m.account_id
WHERE (%(now)s::timestamptz AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date - m.local_day BETWEEN 0 AND 29
GROUP BY m.account_id, a.account_name
ORDER BY usd DESC NULLS LAST, account

-- name: responses
-- First turns of the month's sessions, an account a row, and all of them in a row without an account.
SELECT
    CASE WHEN grouping(r.account_id) = 0 THEN coalesce(max(a.account_name), 'account ' || r.account_id) END AS account,
    count(*) AS asked,
    count(r.answered_at) AS answered,
    count(r.business_minutes) AS in_hours,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY r.clock_minutes::float) AS clock_minutes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY r.business_minutes::float) AS business_minutes
FROM volt_marts.responses AS r
LEFT JOIN volt_marts.accounts AS a ON a.account_id = r.account_id
WHERE r.is_first_in_session AND NOT r.is_keyword_only
  AND (%(now)s::timestamptz AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
      - (r.asked_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date BETWEEN 0 AND 29
GROUP BY GROUPING SETS ((r.account_id), ())
ORDER BY grouping(r.account_id), asked DESC, account

-- name: response_spread
-- How long the same turns took: a step a row, the upper limit in minutes; without one, whoever was not answered.
WITH steps (step, upto) AS (
    VALUES (1, 5), (2, 15), (3, 60), (4, 240), (5, 1440), (6, 2147483647)
),
turns AS (
    SELECT r.answered_at, r.clock_minutes, r.business_minutes
    FROM volt_marts.responses AS r
    LEFT JOIN volt_marts.accounts AS a ON a.account_id = r.account_id
    WHERE r.is_first_in_session AND NOT r.is_keyword_only
      AND (%(now)s::timestamptz AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date
          - (r.asked_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date BETWEEN 0 AND 29
),
spread AS (
    SELECT
        s.step,
        (SELECT count(*) FROM turns AS t
            WHERE t.clock_minutes <= s.upto) AS by_clock,
        (SELECT count(*) FROM turns AS t
            WHERE t.business_minutes <= s.upto) AS by_hours
    FROM steps AS s
)
SELECT
    step,
    by_clock - coalesce(lag(by_clock) OVER (ORDER BY step), 0) AS by_clock,
    by_hours - coalesce(lag(by_hours) OVER (ORDER BY step), 0) AS by_hours
FROM spread
ORDER BY step

-- name: waiting
-- Turns that nobody has answered, however old; an account a row.
SELECT
    coalesce(a.account_name, 'account ' || r.account_id) AS account,
    count(*) AS people,
    count(*) FILTER (WHERE r.asked_at < %(now)s::timestamptz - interval '24 hours') AS over_a_day,
    count(*) FILTER (WHERE r.asked_at < %(now)s::timestamptz - interval '30 days') AS over_a_month,
    min(r.asked_at) AS oldest
FROM volt_marts.responses AS r
LEFT JOIN volt_marts.accounts AS a ON a.account_id = r.account_id
WHERE r.answered_at IS NULL AND NOT r.is_keyword_only
GROUP BY r.account_id, a.account_name
ORDER BY people DESC, account

-- name: waves
-- Campaigns, the newest first. A wave to a single contact may be named after a person: those are only counted.
SELECT
    w.name,
    coalesce(a.account_name, CASE WHEN w.account_id IS NULL THEN 'organization' ELSE 'account ' || w.account_id END)
        AS account,
    (w.scheduled_at AT TIME ZONE coalesce(a.time_zone, 'UTC'))::date AS day,
    w.total_messages,
    w.total_delivered,
    w.total_failed,
    w.total_pending,
    w.coverage::float AS coverage,
    w.delivered_loaded,
    w.repliers_72h,
    w.opt_outs,
    w.estimated_cost_usd::float AS usd
FROM volt_marts.waves AS w
LEFT JOIN volt_marts.accounts AS a ON a.account_id = w.account_id
WHERE w.is_campaign
ORDER BY w.scheduled_at DESC NULLS LAST, w.wave_id DESC
LIMIT %(limit)s

-- name: wave_totals
SELECT
    count(*) FILTER (WHERE w.is_campaign) AS campaigns,
    count(*) FILTER (WHERE w.is_campaign IS NOT TRUE) AS single_texts,
    sum(w.total_delivered) FILTER (WHERE w.is_campaign)::bigint AS total_delivered,
    sum(w.total_failed) FILTER (WHERE w.is_campaign)::bigint AS total_failed,
    sum(w.total_pending) FILTER (WHERE w.is_campaign)::bigint AS total_pending,
    sum(w.delivered_loaded) FILTER (WHERE w.is_campaign)::bigint AS delivered_loaded,
    sum(w.repliers_72h) FILTER (WHERE w.is_campaign)::bigint AS repliers_72h,
    sum(w.opt_outs) FILTER (WHERE w.is_campaign)::bigint AS opt_outs,
    sum(w.estimated_cost_usd) FILTER (WHERE w.is_campaign)::float AS usd
FROM volt_marts.waves AS w

-- name: consent_now
SELECT
    count(*) AS contacts,
    count(*) FILTER (WHERE c.consent = 'opt_out') AS opted_out,
    count(*) FILTER (WHERE c.blocked) AS blocked,
    count(*) FILTER (WHERE c.can_text) AS can_text,
    count(*) FILTER (WHERE c.needs_review) AS needs_review
FROM volt_marts.contacts AS c

-- name: consent_changes
-- Who left ever, who of them is back now, and what was sent in the month to people while they were out.
SELECT
    (SELECT count(DISTINCT e.conversation_id) FROM volt_marts.consent_events AS e
        WHERE e.effect = 'opt_out') AS left_ever,
    (SELECT count(*) FROM volt_marts.consent_events AS e
        WHERE e.effect = 'opt_in' AND e.next_change_at IS NULL
          AND EXISTS (
            SELECT FROM volt_marts.consent_events AS o
            WHERE o.conversation_id = e.conversation_id AND o.effect = 'opt_out'
          )) AS came_back,
    (SELECT count(*) FROM volt_marts.messages AS m
        JOIN volt_marts.consent_events AS e ON e.conversation_id = m.conversation_id
        WHERE m.direction = 'outbound' AND e.effect = 'opt_out'
          AND m.sent_at > e.changed_at AND m.sent_at < coalesce(e.next_change_at, 'infinity')
          AND m.sent_at BETWEEN %(now)s::timestamptz - interval '30 days' AND %(now)s::timestamptz) AS texted_while_out

-- name: consent_weeks
SELECT
    date_trunc('week', (e.changed_at AT TIME ZONE coalesce(a.time_zone, 'UTC')))::date AS week,
    count(*) FILTER (WHERE e.effect = 'opt_out') AS opt_outs,
    count(*) FILTER (
        WHERE e.effect = 'opt_in' AND EXISTS (
            SELECT FROM volt_marts.consent_events AS o
            WHERE o.conversation_id = e.conversation_id AND o.effect = 'opt_out' AND o.changed_at < e.changed_at
        )
    ) AS came_back
FROM volt_marts.consent_events AS e
LEFT JOIN volt_marts.accounts AS a ON a.account_id = e.account_id
WHERE e.changed_at > date_trunc('week', %(today)s::date) - interval '176 days'
GROUP BY 1
HAVING date_trunc('week', min(e.changed_at AT TIME ZONE coalesce(a.time_zone, 'UTC')))::date
    BETWEEN date_trunc('week', %(today)s::date)::date - 175 AND %(today)s
ORDER BY 1

-- name: lists
-- The lists that changed most in the month, then the largest. What a list was before it was first seen is unknown.
WITH sized AS (
    SELECT
        l.list_id,
        max(l.list_name) AS name,
        max(l.account_id) AS account_id,
        min(l.day) AS first_day,
        (array_agg(l.size ORDER BY l.day DESC))[1]::bigint AS size,
        (array_agg(l.size ORDER BY l.day DESC) FILTER (WHERE l.day <= %(today)s::date - 30))[1]::bigint AS size_before,
        (array_agg(l.size ORDER BY l.day))[1]::bigint AS size_at_first,
        max(l.day) AS last_day
    FROM volt_marts.lists_daily AS l
    GROUP BY l.list_id
),
chosen AS (
    SELECT * FROM sized
    ORDER BY abs(size - coalesce(size_before, size_at_first)) DESC NULLS LAST, size DESC NULLS LAST, name, list_id
    LIMIT %(limit)s
)
SELECT
    c.name,
    coalesce(a.account_name, CASE WHEN c.account_id IS NULL THEN 'organization' ELSE 'account ' || c.account_id END)
        AS account,
    c.first_day,
    c.size,
    c.size_before,
    c.size_at_first,
    ARRAY(
        SELECT l.day - (%(today)s::date - 59) FROM volt_marts.lists_daily AS l
        WHERE l.list_id = c.list_id AND l.day > %(today)s::date - 60 AND l.size IS NOT NULL ORDER BY l.day
    ) AS days,
    ARRAY(
        SELECT l.size::bigint FROM volt_marts.lists_daily AS l
        WHERE l.list_id = c.list_id AND l.day > %(today)s::date - 60 AND l.size IS NOT NULL ORDER BY l.day
    ) AS sizes
FROM chosen AS c
LEFT JOIN volt_marts.accounts AS a ON a.account_id = c.account_id
ORDER BY abs(c.size - coalesce(c.size_before, c.size_at_first)) DESC NULLS LAST, c.size DESC NULLS LAST, c.name, c.list_id

-- name: list_count
SELECT count(DISTINCT l.list_id) FROM volt_marts.lists_daily AS l

-- name: last_push
SELECT
    p.export,
    p.action,
    p.status,
    left(regexp_replace(coalesce(p.reason, ''), %(number)s, '(number)', 'g'), 80) AS reason,
    count(*) AS rows,
    max(p.pushed_at) AS pushed_at
FROM volt_marts.pushes AS p
WHERE p.run_id = (SELECT l.run_id FROM volt_marts.pushes AS l ORDER BY l.pushed_at DESC LIMIT 1)
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 5 DESC, 4

-- name: coverage
-- Held against Volt's own totals, a stream a row. More than Volt's total (it forgot some) counts as all.
SELECT
    c.stream,
    count(*) AS subjects,
    coalesce(sum(c.total), 0)::bigint AS total,
    coalesce(sum(least(c.held, c.total)), 0)::bigint AS held,
    coalesce(sum(c.rejected), 0)::bigint AS rejected,
    coalesce(sum(c.unidentifiable), 0)::bigint AS unidentifiable,
    coalesce(sum(c.withheld), 0)::bigint AS withheld,
    coalesce(sum(greatest(c.gap, 0)), 0)::bigint AS missing,
    count(*) FILTER (WHERE c.gap > 0) AS with_gap
FROM volt_ops.coverage AS c
GROUP BY c.stream
ORDER BY c.stream

-- name: rejects
SELECT
    r.stream,
    left(regexp_replace(r.reason, %(number)s, '(number)', 'g'), 120) AS reason,
    count(*) AS rows,
    min(r.first_seen_at) AS since
FROM volt_ops.rejects AS r
WHERE r.resolved_at IS NULL
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2

-- name: last_sync
-- How the last sync went; contacts are read in turn, so the age of the oldest reading grew since.
SELECT
    r.started_at,
    r.finished_at,
    r.outcome,
    (r.report ->> 'oldest_contact_reading')::float AS oldest_contact_reading
FROM volt_ops.runs AS r
WHERE r.kind = 'sync'
ORDER BY r.started_at DESC
LIMIT 1
