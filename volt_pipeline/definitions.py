"""What Dagster loads (`workspace.yaml` names this module). It builds without any secret: settings are read in runs."""

from volt_pipeline.defs.location import build

defs = build()
