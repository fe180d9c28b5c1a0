CREATE TABLE volt_ops.webhook_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key text NOT NULL UNIQUE,
    scheme text NOT NULL CHECK (scheme IN ('rsa', 'ed25519')),
    signed_by text NOT NULL,
    sent_at timestamptz,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL DEFAULT 1 CHECK (deliveries > 0),
    due_at timestamptz NOT NULL DEFAULT now(),
    tries integer NOT NULL DEFAULT 0,
    event_type text,
    direction text,
    message_id text,
    account_id text,
    contact_phone text,
    outcome text CHECK (outcome IN ('refreshed', 'set_aside')),
    reason text,
    processed_at timestamptz,
    run_id text,
    CHECK ((processed_at IS NULL) = (outcome IS NULL))
);
COMMENT ON TABLE volt_ops.webhook_events IS
    'Signed events as they came in, one row an event. They are hints: what they say is read again from the API, never stored elsewhere. Rows are deleted after VOLT_WEBHOOK_RETENTION_DAYS, since they hold texts.';
COMMENT ON COLUMN volt_ops.webhook_events.event_key IS
    'id:<webhook-id> where the event names one under its signature, else sha256:<digest of the body>.';
COMMENT ON COLUMN volt_ops.webhook_events.signed_by IS 'The key that it was verified with: the first 16 digits of its SHA-256.';
COMMENT ON COLUMN volt_ops.webhook_events.sent_at IS 'The webhook-timestamp under the signature; null where the scheme has none.';
COMMENT ON COLUMN volt_ops.webhook_events.body IS 'The body as received, byte by byte.';
COMMENT ON COLUMN volt_ops.webhook_events.deliveries IS 'How often it came: replays and duplicates are one row.';
COMMENT ON COLUMN volt_ops.webhook_events.due_at IS
    'When it may be taken up. Taking it up moves this ahead, so that what a killed or failed run had taken is taken up again.';
COMMENT ON COLUMN volt_ops.webhook_events.direction IS 'inbound or outbound, as the event says; a hint like the columns below it.';
COMMENT ON COLUMN volt_ops.webhook_events.account_id IS 'The account whose number it names; null where it names none of ours.';
COMMENT ON COLUMN volt_ops.webhook_events.outcome IS
    'refreshed: what it points at was read again. set_aside: it points at nothing that can be read; reason says why.';
CREATE INDEX webhook_events_due_idx ON volt_ops.webhook_events (due_at) WHERE processed_at IS NULL;
CREATE INDEX webhook_events_received_at_idx ON volt_ops.webhook_events (received_at);
CREATE INDEX webhook_events_message_id_idx ON volt_ops.webhook_events (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE volt_ops.webhook_registrations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    noticed_at timestamptz,
    closed_at timestamptz,
    outcome text
);
COMMENT ON TABLE volt_ops.webhook_registrations IS
    'One row an attempt to register a webhook. While one is open, receivers answer a test request that bears no signature (and store nothing).';
COMMENT ON COLUMN volt_ops.webhook_registrations.noticed_at IS 'When a running receiver took notice: nothing is registered before.';
COMMENT ON COLUMN volt_ops.webhook_registrations.outcome IS 'registered, refused, or unknown where Volt''s answer was lost.';

CREATE VIEW volt_ops.webhook_freshness AS
WITH since AS (
    SELECT min(received_at) - interval '1 minute' AS moment FROM volt_ops.webhook_events
),
changes AS (
    SELECT s.observed_at AS seen_at, s.run_id
    FROM volt.message_statuses AS s
    JOIN volt.messages AS m ON m.id = s.message_id
    JOIN since ON m.sent_at >= since.moment AND s.observed_at >= since.moment
    UNION ALL
    SELECT m.first_seen_at, m.run_id
    FROM volt.messages AS m
    JOIN since ON m.sent_at >= since.moment AND m.first_seen_at >= since.moment
    WHERE NOT EXISTS (SELECT FROM volt.message_statuses AS s WHERE s.message_id = m.id)
)
SELECT
    (c.seen_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS changes,
    count(*) FILTER (WHERE r.kind = 'webhook') AS found_by_webhooks,
    count(*) FILTER (WHERE r.kind IS DISTINCT FROM 'webhook') AS found_by_polling,
    round(count(*) FILTER (WHERE r.kind IS DISTINCT FROM 'webhook')::numeric / count(*), 4) AS polling_share
FROM changes AS c
LEFT JOIN volt_ops.runs AS r ON r.run_id = c.run_id
GROUP BY 1;
COMMENT ON VIEW volt_ops.webhook_freshness IS
    'Per day (UTC): new messages and changes of status of messages sent since the oldest event held, and who found them first: a webhook''s re-reading, or polling.';
