"""The Dagster code location: assets, checks, jobs and schedules. Bodies only adapt; the work is done below."""
