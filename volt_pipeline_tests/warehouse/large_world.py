"""A warehouse as it stands after years: made by SQL in a moment, to see how queries find their rows in it.

Four accounts, of which the first has most; nearly everything is settled, read and complete, as on any quiet day.
"""

from __future__ import annotations

import psycopg

ACCOUNTS = ["a1", "a2", "a3", "a4"]

# %(conversations)s and %(texts)s (of each) say how large.
_STATEMENTS = """
INSERT INTO volt_ops.runs (run_id, kind, started_at, finished_at, outcome)
SELECT 'run-' || n, 'sync', now() - n * interval '1 day', now() - n * interval '1 day', 'succeeded'
FROM generate_series(1, 20) AS n;

INSERT INTO volt.accounts (id, name, primary_phone, first_seen_at, loaded_at, run_id)
SELECT 'a' || n, 'Store ' || n, '+1555555000' || n, now() - interval '2 years', now() - interval '2 years', 'run-1'
FROM generate_series(1, 4) AS n;

INSERT INTO volt.account_numbers (account_id, phone_number, evidence)
SELECT id, primary_phone, 'primary_phone' FROM volt.accounts;

CREATE TEMP TABLE people AS
SELECT
    n,
    CASE WHEN n %% 20 < 17 THEN 'a1' ELSE 'a' || (n %% 20 - 15) END AS account_id,
    '+1' || (2000000000 + n) AS phone,
    'c' || md5(n::text) AS contact_id,
    now() - interval '2 years' + n * interval '2 years' / (%(conversations)s + 1) AS began
FROM generate_series(1, %(conversations)s) AS n;

INSERT INTO volt.contacts (id, account_id, phone_number, name, custom_fields, blocked, first_seen_at, loaded_at, run_id)
SELECT contact_id, account_id, phone, 'Wile E. ' || n, '[{"key": "size"}]', false, began, began, 'run-1'
FROM people;

INSERT INTO volt_ops.readings (kind, key, read_at, misses)
SELECT 'contact', contact_id, now() - (n %% 600) * interval '1 minute', (n %% 5000 = 0)::int FROM people;

INSERT INTO volt.lists (id, account_id, name, size, first_seen_at, loaded_at, run_id)
SELECT 'l' || n, 'a' || (n %% 4 + 1), 'List ' || n, 10, now() - interval '1 year', now() - interval '1 year', 'run-1'
FROM generate_series(1, 100) AS n;

INSERT INTO volt.waves (
    id, account_id, name, total_messages, total_messages_delivered, total_messages_failed, loaded_at, run_id
)
SELECT 'w' || n, 'a' || (n %% 4 + 1), 'Wave ' || n, 100, 99, 1, now() - interval '1 year', 'run-1'
FROM generate_series(1, 200) AS n;

INSERT INTO volt_ops.discoveries (kind, account_id, key, via, object_id, read_at)
SELECT 'list', account_id, name, 'contacts', id, now() - interval '1 hour' FROM volt.lists
UNION ALL SELECT 'wave', '', id, 'messages', id, now() - interval '1 hour' FROM volt.waves;

INSERT INTO volt.contact_lists (contact_id, list_id, valid_from, valid_to, first_seen_at, loaded_at, run_id)
SELECT contact_id, 'l' || ((n + k * 7) %% 100 + 1), began, CASE WHEN k = 2 THEN now() END, began, began, 'run-1'
FROM people, generate_series(0, 2) AS k;

INSERT INTO volt.messages (
    id, legacy_id, account_id, organization_id, to_number, from_number, status, status_description, media, body,
    sent_at, confirmed_at, wave_id, contact_id, contact_phone, is_final, first_seen_at, loaded_at, run_id
)
SELECT
    'rf_' || md5(p.n || '/' || k), md5(k || '-' || p.n), p.account_id, 'o', p.phone, '+15555550001',
    CASE WHEN NOT settled THEN 'sent' WHEN k %% 3 = 0 THEN 'received' ELSE 'delivered' END, 'Delivered', '[]',
    'A text of an ordinary length, as a store writes it to somebody who has ordered ' || k || ' things.',
    sent_at, sent_at, CASE WHEN k %% 5 = 0 THEN 'w' || (p.n %% 200 + 1) END, p.contact_id, p.phone, settled,
    sent_at + interval '1 minute', sent_at + interval '5 days', 'run-1'
FROM people AS p
CROSS JOIN LATERAL generate_series(1, %(texts)s) AS k
-- one in fifty was given up long ago, and one in five hundred of the latest may change yet
CROSS JOIN LATERAL (
    SELECT
        p.began + (now() - p.began) * k / (%(texts)s + 1) AS sent_at,
        (p.n * %(texts)s + k) %% 50 <> 0 AS settled
) AS s;

INSERT INTO volt_ops.readings (kind, key, read_at, misses)
SELECT 'message', id, loaded_at, 0 FROM volt.messages WHERE NOT is_final;

UPDATE volt.messages SET is_final = false, sent_at = now() - interval '1 hour', loaded_at = now() - interval '1 minute'
WHERE hashtext(id) %% 2000 = 0;

INSERT INTO volt_ops.readings (kind, key, read_at, misses)
SELECT 'message', id, now(), 1 FROM volt.messages WHERE hashtext(id) %% 20000 = 1
ON CONFLICT DO NOTHING;

INSERT INTO volt.inbox_items (
    account_id, contact_phone, contact_id, last_message, is_unread, last_message_time, first_seen_at, loaded_at, run_id
)
SELECT account_id, phone, contact_id, 'A text ' || n, false, now() - n * interval '1.1 minutes', began, began, 'run-1'
FROM people;

INSERT INTO volt.conversations (account_id, contact_phone, messages_total, first_seen_at, loaded_at, run_id)
SELECT account_id, phone, %(texts)s, began, began, 'run-1' FROM people;

INSERT INTO volt_ops.walks (
    stream, account_id, contact_phone, completed_at, whole_at, item, top, total, held, rejected, unidentifiable
)
SELECT
    'messages', account_id, contact_phone, now() - interval '10 minutes', now() - interval '1 day',
    md5(coalesce(last_message_time::text, '') || '|' || coalesce(last_message, '')), last_message_time,
    %(texts)s, %(texts)s, 0, 0
FROM volt.inbox_items;

INSERT INTO volt_ops.walks (stream, account_id, completed_at, whole_at, top, total, held, rejected, unidentifiable)
SELECT
    'inbox_items', account_id, now() - interval '10 minutes', now() - interval '1 hour', max(last_message_time),
    count(*), count(*), 0, 0
FROM volt.inbox_items GROUP BY account_id;

INSERT INTO volt_ops.rejects (stream, account_id, contact_phone, key, reason, digest, run_id, resolved_at)
SELECT
    'messages', 'a1', '+1' || (2000000000 + n), 'rf_bad' || n, 'a time that is none', '', 'run-1',
    CASE WHEN n > 5 THEN now() END
FROM generate_series(1, 505) AS n;

DROP TABLE people
"""


def build(connection: psycopg.Connection[object], *, conversations: int, texts: int) -> None:
    """Fill a prepared, empty warehouse; its statistics are fresh afterwards."""
    for statement in _STATEMENTS.split(";\n"):
        connection.execute(statement.encode(), {"conversations": conversations, "texts": texts})
    connection.execute("ANALYZE")
