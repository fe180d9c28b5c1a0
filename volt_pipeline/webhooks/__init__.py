"""Receiving Volt's webhooks: signatures, the server, and what an event hints at. Knows no database and no Dagster."""
