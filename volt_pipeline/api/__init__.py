"""Volt over GraphQL: documents, one patient client, typed inputs; it knows no database and no Dagster."""
