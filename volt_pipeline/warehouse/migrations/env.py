"""Alembic's entry: runs on the connection that `warehouse.postgres.prepare` hands over, under its lock."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="alembic_version",
    version_table_schema="volt_ops",
)
with context.begin_transaction():
    context.run_migrations()
