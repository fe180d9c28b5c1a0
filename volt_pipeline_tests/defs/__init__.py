"""The Dagster code location: what it defines, and what its jobs do."""
