"""Indexes of the state for what is asked of it in every run, and how its tables are kept."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("State is not thrown away by a downgrade; restore a backup instead.")
