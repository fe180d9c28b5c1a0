"""The tests mirror the package: volt_pipeline/x/y.py is tested in volt_pipeline_tests/x/test_y.py."""
