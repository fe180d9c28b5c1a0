"""Keep a Postgres warehouse and Volt (business text messaging) in step, both ways, on Dagster."""
