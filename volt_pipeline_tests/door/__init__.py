"""Tests of `volt_pipeline.door`; whole commands, as processes, are in `test_cli.py`."""
