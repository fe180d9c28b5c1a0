-- The outbox: what may be texted, what became of it, and the rules that no client of this database can get around.

CREATE TABLE volt_ops.controls (
    name text PRIMARY KEY,
    engaged boolean NOT NULL,
    reason text NOT NULL DEFAULT '',
    changed_by text NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE volt_ops.controls IS 'Switches for people. kill_switch: while it is engaged, or its row is gone, nothing is sent.';
INSERT INTO volt_ops.controls (name, engaged, reason) VALUES ('kill_switch', false, 'as installed');

CREATE TABLE volt_ops.suppressions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone_number text NOT NULL CHECK (phone_number ~ '^\+[1-9][0-9]{7,14}$'),
    account_phone text,
    reason text NOT NULL CHECK (reason <> ''),
    added_by text NOT NULL DEFAULT session_user,
    added_at timestamptz NOT NULL DEFAULT now(),
    lifted_at timestamptz,
    lifted_by text
);
COMMENT ON TABLE volt_ops.suppressions IS 'Phones that we do not text, whatever Volt says: insert a row, and lift it by lifted_at and lifted_by.';
COMMENT ON COLUMN volt_ops.suppressions.account_phone IS 'The account that must not text them; null: none may.';
CREATE INDEX suppressions_phone_number_idx ON volt_ops.suppressions (phone_number) WHERE lifted_at IS NULL;

CREATE TABLE volt_ops.wave_approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_key text NOT NULL,
    approved_by text NOT NULL CHECK (approved_by <> ''),
    approved_size bigint NOT NULL CHECK (approved_size > 0),
    reason text NOT NULL DEFAULT '',
    approved_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE volt_ops.wave_approvals IS
    'Who answers for scheduling a wave, and for how many contacts. Without a row a wave goes out as a draft; the newest row counts.';
CREATE INDEX wave_approvals_intent_key_idx ON volt_ops.wave_approvals (intent_key);

CREATE TABLE volt_ops.outbox (
    intent_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_key text NOT NULL UNIQUE CHECK (intent_key <> ''),
    kind text NOT NULL DEFAULT 'message' CHECK (kind IN ('message', 'scheduled_message', 'wave')),
    account_phone text NOT NULL,
    to_phone text CHECK (to_phone ~ '^\+[1-9][0-9]{7,14}$'),
    contact_numbers text[] NOT NULL DEFAULT '{}',
    list_names text[] NOT NULL DEFAULT '{}',
    wave_name text,
    body text NOT NULL,
    media text[] NOT NULL DEFAULT '{}',
    scheduled_at timestamptz,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    created_by text NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN (
        'queued', 'held', 'attempting', 'accepted', 'rejected', 'unknown', 'needs_person', 'cancelled'
    )),
    reason text,
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_until timestamptz,
    attempted_at timestamptz,
    match_key text,
    snapshot jsonb,
    snapshot_top timestamptz,
    proof text CHECK (proof IN ('unsent', 'throttled', 'refused')),
    message_id text UNIQUE,
    wave_id text UNIQUE,
    wave_status text CHECK (wave_status IN ('draft', 'scheduled')),
    decided_by text,
    decided_why text,
    decided_at timestamptz,
    left_queued boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (body <> '' OR cardinality(media) > 0),
    CHECK ((kind = 'message') = (to_phone IS NOT NULL)),
    CHECK ((kind = 'scheduled_message') = (cardinality(contact_numbers) > 0)),
    CHECK ((kind = 'wave') = (cardinality(list_names) > 0)),
    CHECK ((kind = 'wave') = (wave_name IS NOT NULL)),
    CHECK ((kind = 'message') = (scheduled_at IS NULL))
);
COMMENT ON TABLE volt_ops.outbox IS
    'Texts to send, one row an intent: insert (intent_key, kind, account_phone, to_phone, body). Only `volt-pipeline send` moves them on.';
COMMENT ON COLUMN volt_ops.outbox.intent_key IS 'Yours, unique: what makes a repeated insert harmless (ON CONFLICT DO NOTHING).';
COMMENT ON COLUMN volt_ops.outbox.kind IS 'message (to_phone, at once), scheduled_message (contact_numbers, scheduled_at), wave (list_names, wave_name, scheduled_at).';
COMMENT ON COLUMN volt_ops.outbox.account_phone IS 'Primary phone of the account that sends.';
COMMENT ON COLUMN volt_ops.outbox.scheduled_at IS 'When Volt is to send it; of a message null.';
COMMENT ON COLUMN volt_ops.outbox.expires_at IS 'From when on it is no longer handed to Volt.';
COMMENT ON COLUMN volt_ops.outbox.state IS 'unknown: it may have been sent; it is looked for, and never sent again without a person.';
COMMENT ON COLUMN volt_ops.outbox.due_at IS 'Not tried, or looked for, before; null is at once.';
COMMENT ON COLUMN volt_ops.outbox.snapshot IS 'Ids of the texts that stood in the conversation before the first attempt that a person has not looked at.';
COMMENT ON COLUMN volt_ops.outbox.proof IS 'What proves that the last attempt had no effect.';
COMMENT ON COLUMN volt_ops.outbox.message_id IS 'The message at Volt that is this intent: no two intents are one message.';
CREATE INDEX outbox_waiting_idx ON volt_ops.outbox (coalesce(due_at, '-infinity'), intent_id) WHERE state IN ('queued', 'held');
CREATE INDEX outbox_open_idx ON volt_ops.outbox (state, due_at) WHERE state IN ('attempting', 'unknown', 'needs_person');
CREATE INDEX outbox_to_phone_idx ON volt_ops.outbox (to_phone, attempted_at) WHERE attempted_at IS NOT NULL;
CREATE INDEX outbox_contact_numbers_idx ON volt_ops.outbox USING gin (contact_numbers) WHERE kind = 'scheduled_message';
-- Of two texts with the same words to the same person only one may be in doubt: the one found is then the one meant.
CREATE UNIQUE INDEX outbox_one_in_doubt_idx ON volt_ops.outbox (account_phone, to_phone, match_key)
    WHERE kind = 'message' AND state IN ('attempting', 'unknown');

CREATE TABLE volt_ops.outbox_transitions (
    from_state text NOT NULL,
    to_state text NOT NULL,
    needs text NOT NULL DEFAULT '' CHECK (needs IN ('', 'proof', 'person')),
    PRIMARY KEY (from_state, to_state)
);
COMMENT ON TABLE volt_ops.outbox_transitions IS
    'Every change of state that the outbox allows. proof: of no effect. person: decided_by, decided_why and decided_at say who, why and when.';
INSERT INTO volt_ops.outbox_transitions (from_state, to_state, needs) VALUES
    ('queued', 'held', ''),
    ('queued', 'attempting', ''),
    ('queued', 'rejected', ''),
    ('queued', 'cancelled', ''),
    ('queued', 'needs_person', ''),
    ('held', 'queued', ''),
    ('held', 'rejected', ''),
    ('held', 'cancelled', ''),
    ('attempting', 'accepted', ''),
    ('attempting', 'unknown', ''),
    ('attempting', 'queued', 'proof'),
    ('attempting', 'rejected', 'proof'),
    ('unknown', 'accepted', ''),
    ('unknown', 'needs_person', ''),
    ('needs_person', 'queued', 'person'),
    ('needs_person', 'cancelled', 'person');

CREATE TABLE volt_ops.outbox_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES volt_ops.outbox,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    from_state text,
    to_state text NOT NULL,
    reason text,
    proof text,
    decided_by text,
    decided_why text,
    actor text NOT NULL
);
COMMENT ON TABLE volt_ops.outbox_events IS 'What happened to each intent, in order; written by a trigger, never changed.';
COMMENT ON COLUMN volt_ops.outbox_events.actor IS 'The run that did it, else the database role.';
CREATE INDEX outbox_events_intent_id_idx ON volt_ops.outbox_events (intent_id, event_id);

CREATE FUNCTION volt_ops.outbox_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'An intent is never deleted: cancel it (volt-pipeline send cancel %).', OLD.intent_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' OR NEW.tries <> 0 OR NEW.left_queued OR num_nonnulls(
            NEW.claimed_by, NEW.claimed_until, NEW.attempted_at, NEW.match_key, NEW.snapshot, NEW.proof, NEW.message_id,
            NEW.wave_id, NEW.wave_status, NEW.decided_by
        ) > 0 THEN
            RAISE EXCEPTION 'An intent begins as queued, untried: leave state and what belongs to sending out.'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.intent_id <> OLD.intent_id OR (OLD.left_queued AND NOT NEW.left_queued) THEN
        RAISE EXCEPTION 'intent_id and left_queued are not to be changed.' USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.left_queued OR OLD.claimed_by IS NOT NULL OR NEW.state <> OLD.state) AND (
        NEW.intent_key, NEW.kind, NEW.account_phone, NEW.to_phone, NEW.contact_numbers, NEW.list_names, NEW.wave_name,
        NEW.body, NEW.media, NEW.scheduled_at
    ) IS DISTINCT FROM (
        OLD.intent_key, OLD.kind, OLD.account_phone, OLD.to_phone, OLD.contact_numbers, OLD.list_names, OLD.wave_name,
        OLD.body, OLD.media, OLD.scheduled_at
    ) THEN
        RAISE EXCEPTION 'Intent % has left the queue or is being sent: what it says cannot change. Cancel it, and insert another.',
            OLD.intent_id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    SELECT needs INTO wanted FROM volt_ops.outbox_transitions WHERE from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Intent % cannot go from % to %.', OLD.intent_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF wanted = 'proof' AND NEW.proof IS NULL THEN
        RAISE EXCEPTION 'Intent % may have been sent: it goes from % to % only with a proof that it was not.',
            OLD.intent_id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF wanted = 'person' AND (
        coalesce(NEW.decided_by, '') = '' OR coalesce(NEW.decided_why, '') = '' OR NEW.decided_at IS NULL
        OR NEW.decided_at IS NOT DISTINCT FROM OLD.decided_at
    ) THEN
        RAISE EXCEPTION 'Intent % may have been sent: only a person takes it from % to %, and says who and why.',
            OLD.intent_id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'attempting' THEN
        IF NEW.claimed_by IS NULL OR NEW.attempted_at IS NULL OR NEW.tries <> OLD.tries + 1 THEN
            RAISE EXCEPTION 'Intent % is attempted only by the sender that has claimed it.', OLD.intent_id
                USING ERRCODE = 'check_violation';
        END IF;
        NEW.proof = NULL;
        -- A crash must not forget an attempt whose text has left.
        IF current_setting('synchronous_commit') = 'off' THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
    END IF;
    NEW.left_queued = true;
    NEW.changed_at = clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER outbox_guard BEFORE INSERT OR UPDATE OR DELETE ON volt_ops.outbox
    FOR EACH ROW EXECUTE FUNCTION volt_ops.outbox_guard();

CREATE FUNCTION volt_ops.outbox_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    before text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = OLD.state AND NEW.reason IS NOT DISTINCT FROM OLD.reason THEN
            RETURN NULL;
        END IF;
        before = OLD.state;
    END IF;
    INSERT INTO volt_ops.outbox_events (intent_id, from_state, to_state, reason, proof, decided_by, decided_why, actor)
    VALUES (
        NEW.intent_id, before, NEW.state, NEW.reason, NEW.proof,
        CASE WHEN before = 'needs_person' THEN NEW.decided_by END,
        CASE WHEN before = 'needs_person' THEN NEW.decided_why END,
        coalesce(nullif(current_setting('volt_ops.actor', true), ''), session_user)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER outbox_note AFTER INSERT OR UPDATE ON volt_ops.outbox
    FOR EACH ROW EXECUTE FUNCTION volt_ops.outbox_note();

CREATE FUNCTION volt_ops.outbox_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is a record: its rows are neither changed nor removed.', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER outbox_events_stay BEFORE UPDATE OR DELETE ON volt_ops.outbox_events
    FOR EACH ROW EXECUTE FUNCTION volt_ops.outbox_refuse();
CREATE TRIGGER outbox_events_are_not_emptied BEFORE TRUNCATE ON volt_ops.outbox_events
    FOR EACH STATEMENT EXECUTE FUNCTION volt_ops.outbox_refuse();
CREATE TRIGGER outbox_is_not_emptied BEFORE TRUNCATE ON volt_ops.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION volt_ops.outbox_refuse();
