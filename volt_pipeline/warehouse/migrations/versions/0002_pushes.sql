CREATE TABLE volt_ops.push_plans (
    plan_id text PRIMARY KEY,
    export text NOT NULL CHECK (export IN ('contacts', 'lists')),
    digest text NOT NULL,
    rows jsonb NOT NULL,
    counts jsonb NOT NULL,
    row_count bigint NOT NULL,
    run_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz,
    applied_by_run text,
    stopped text,
    odd_sizes jsonb
);
COMMENT ON TABLE volt_ops.push_plans IS
    'What a push meant to do, one row an export and run: volt-pipeline push --apply PLAN pushes exactly that.';
COMMENT ON COLUMN volt_ops.push_plans.digest IS 'Of the export''s rows: the plan is refused once the export has moved.';
COMMENT ON COLUMN volt_ops.push_plans.rows IS 'An array of {position, account_phone, row_key, action, reason}.';
COMMENT ON COLUMN volt_ops.push_plans.counts IS 'Rows by action: create, update, unchanged, refused.';
COMMENT ON COLUMN volt_ops.push_plans.stopped IS 'Why its push ended early; empty when it did not, null while it is not over.';
COMMENT ON COLUMN volt_ops.push_plans.odd_sizes IS 'Lists whose size was not expected, an array of sentences.';
CREATE INDEX push_plans_export_idx ON volt_ops.push_plans (export, applied_at);
CREATE INDEX push_plans_run_id_idx ON volt_ops.push_plans (run_id);

CREATE TABLE volt_ops.unblock_approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_phone text NOT NULL,
    phone_number text NOT NULL,
    approved_by text NOT NULL CHECK (approved_by <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    approved_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    used_by_run text
);
COMMENT ON TABLE volt_ops.unblock_approvals IS
    'Who answers for un-blocking a contact, and why. A push un-blocks only with a row here, and uses each once.';
CREATE INDEX unblock_approvals_open_idx ON volt_ops.unblock_approvals (account_phone, phone_number)
    WHERE used_at IS NULL;

ALTER TABLE volt_ops.pushes
    ADD COLUMN plan_id text,
    ADD COLUMN position integer,
    ADD COLUMN row_digest text,
    ADD COLUMN tries integer NOT NULL DEFAULT 0,
    ADD COLUMN waited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN volt_ops.pushes.plan_id IS 'The plan it carries out (volt_ops.push_plans).';
COMMENT ON COLUMN volt_ops.pushes.position IS 'The row''s place in the export, from 0.';
COMMENT ON COLUMN volt_ops.pushes.row_digest IS 'Of the export''s row: a row that changed since it failed is tried anew.';
COMMENT ON COLUMN volt_ops.pushes.tries IS 'How often in a row it has failed, this attempt included; 0 when it did not.';
COMMENT ON COLUMN volt_ops.pushes.waited IS 'True where nothing was tried this time: not due yet, given up, or the push stopped before it.';
CREATE INDEX pushes_row_idx ON volt_ops.pushes (export, account_phone, row_key, id);
CREATE INDEX pushes_failed_idx ON volt_ops.pushes (export, account_phone, row_key, id)
    WHERE outcome IN ('failed', 'unknown') AND NOT waited;
