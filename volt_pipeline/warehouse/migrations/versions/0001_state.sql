-- What the pipeline knows beside the data: schema volt_ops. Raw tables (schema volt) come from the catalogue.

CREATE TABLE volt_ops.runs (
    run_id text PRIMARY KEY,
    kind text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'succeeded', 'rejected', 'failed')),
    report jsonb
);
COMMENT ON TABLE volt_ops.runs IS 'One row a sync or push: when, how it ended, and its figures.';
COMMENT ON COLUMN volt_ops.runs.outcome IS 'rejected: it ran to its end, but something could not be stored or read.';

CREATE TABLE volt_ops.leases (
    account_phone text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    holder text NOT NULL DEFAULT '',
    run_id text,
    backend_pid integer,
    backend_start timestamptz,
    taken_at timestamptz,
    expires_at timestamptz
);
COMMENT ON TABLE volt_ops.leases IS
    'Who may write an account. Every transaction of a sync proves its epoch here, so a zombie cannot commit.';

CREATE TABLE volt_ops.walks (
    stream text NOT NULL,
    account_id text NOT NULL,
    contact_phone text NOT NULL DEFAULT '',
    opened_at timestamptz,
    cursor text,
    pages integer NOT NULL DEFAULT 0,
    open_item text NOT NULL DEFAULT '',
    open_top timestamptz,
    open_total bigint NOT NULL DEFAULT 0,
    oldest timestamptz,
    ordered boolean NOT NULL DEFAULT true,
    completed_at timestamptz,
    whole_at timestamptz,
    item text,
    top timestamptz,
    total bigint,
    held bigint,
    rejected bigint,
    unidentifiable bigint,
    gap bigint NOT NULL DEFAULT 0,
    gap_tries integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    PRIMARY KEY (stream, account_id, contact_phone)
);
COMMENT ON TABLE volt_ops.walks IS 'One row an inbox (stream inbox_items) or conversation (stream messages): its open and its last complete walk.';
COMMENT ON COLUMN volt_ops.walks.cursor IS 'The next page of an open walk; a killed walk of a conversation goes on from here.';
COMMENT ON COLUMN volt_ops.walks.item IS 'The inbox item''s digest as of the last complete walk: a conversation whose item differs is due.';
COMMENT ON COLUMN volt_ops.walks.top IS 'The newest time of the last complete walk; the next may stop strictly below it.';
COMMENT ON COLUMN volt_ops.walks.gap IS 'total - held - rejected - unidentifiable at the end of the last complete walk.';
COMMENT ON COLUMN volt_ops.walks.retry_at IS 'When a gap is due for another whole walk; null when there is none.';

CREATE TABLE volt_ops.discoveries (
    kind text NOT NULL,
    account_id text NOT NULL DEFAULT '',
    key text NOT NULL,
    via text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    object_id text,
    read_at timestamptz,
    misses integer NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, account_id, key)
);
COMMENT ON TABLE volt_ops.discoveries IS
    'The ledger of what Volt lists nowhere: waves (by id) and lists (by account and name), through what they were found, when last read.';

CREATE TABLE volt_ops.readings (
    kind text NOT NULL,
    key text NOT NULL,
    read_at timestamptz NOT NULL,
    misses integer NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, key)
);
COMMENT ON TABLE volt_ops.readings IS 'When an unsettled message or a contact was last asked of Volt, changed or not.';

CREATE TABLE volt_ops.rejects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    account_id text NOT NULL DEFAULT '',
    contact_phone text NOT NULL DEFAULT '',
    key text NOT NULL DEFAULT '',
    reason text NOT NULL,
    raw jsonb,
    digest text NOT NULL,
    run_id text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    times integer NOT NULL DEFAULT 1,
    resolved_at timestamptz,
    UNIQUE (stream, account_id, contact_phone, key, digest)
);
COMMENT ON TABLE volt_ops.rejects IS 'The quarantine: what could not be stored or read, with its reason and Volt''s own JSON.';
COMMENT ON COLUMN volt_ops.rejects.digest IS 'md5 of the raw JSON where no key is known, so that one bad row is counted once.';

CREATE TABLE volt_ops.pushes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL,
    export text NOT NULL CHECK (export IN ('contacts', 'lists')),
    row_key text NOT NULL,
    account_phone text NOT NULL,
    action text NOT NULL CHECK (action IN ('create', 'update', 'unchanged', 'refused')),
    outcome text NOT NULL CHECK (outcome IN ('sent', 'unchanged', 'refused', 'failed', 'unknown')),
    reason text,
    before jsonb,
    sent jsonb,
    after jsonb,
    pushed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE volt_ops.pushes IS 'One row an attempt to write a contact or list to Volt: what was there, what was meant, what Volt answered.';
CREATE INDEX pushes_run_id_idx ON volt_ops.pushes (run_id);

CREATE VIEW volt_ops.coverage AS
    SELECT
        stream, account_id, contact_phone AS key, total, held, rejected, unidentifiable, gap, completed_at AS measured_at
    FROM volt_ops.walks
    WHERE completed_at IS NOT NULL
    UNION ALL
    SELECT
        'waves', coalesce(w.account_id, ''), w.id, w.total_messages, coalesce(m.held, 0), 0, 0,
        w.total_messages - coalesce(m.held, 0), w.loaded_at
    FROM volt.waves AS w
    LEFT JOIN (SELECT wave_id, count(*) AS held FROM volt.messages WHERE wave_id IS NOT NULL GROUP BY 1) AS m
        ON m.wave_id = w.id
    WHERE w.deleted_at IS NULL
    UNION ALL
    SELECT
        'lists', coalesce(l.account_id, ''), l.id, l.size, coalesce(m.held, 0), 0, 0,
        l.size - coalesce(m.held, 0), l.loaded_at
    FROM volt.lists AS l
    LEFT JOIN (SELECT list_id, count(*) AS held FROM volt.contact_lists WHERE valid_to IS NULL GROUP BY 1) AS m
        ON m.list_id = l.id
    WHERE l.deleted_at IS NULL;
COMMENT ON VIEW volt_ops.coverage IS
    'Rows held against Volt''s own totals, an inbox, conversation (stream messages), wave or list a row; gap 0 is complete.';
