"""Postgres: tables, loading, queries and state."""
