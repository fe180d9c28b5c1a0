"""The dbt project is built for real: on an empty warehouse, and on a small one whose answers are known."""
