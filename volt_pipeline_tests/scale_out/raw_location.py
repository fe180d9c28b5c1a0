"""The code location without dbt: what the workers of these tests load, to save each of them the seconds of it."""

from volt_pipeline.defs.location import build

defs = build(with_dbt=False)
