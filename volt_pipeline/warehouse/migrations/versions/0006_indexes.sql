-- What is asked in every run is a handful among many: docs/warehouse.md says which queries these serve. They may stand
-- already, made beforehand where that takes long.
CREATE INDEX IF NOT EXISTS readings_missed_idx ON volt_ops.readings (kind, key) WHERE misses > 0;
CREATE INDEX IF NOT EXISTS rejects_open_idx ON volt_ops.rejects (stream, key) WHERE resolved_at IS NULL;

-- Rows that change in place, none of their indexes with them, if their page has room.
ALTER TABLE volt_ops.walks SET (fillfactor = 90);
ALTER TABLE volt_ops.readings SET (fillfactor = 90);
