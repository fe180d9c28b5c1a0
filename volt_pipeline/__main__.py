"""`python -m volt_pipeline`: the same as the command `volt-pipeline`."""

from volt_pipeline.cli import main

main()
