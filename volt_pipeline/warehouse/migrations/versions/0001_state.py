"""The pipeline's own state: runs, leases, walks, discoveries, readings, rejects, pushes."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("State is not thrown away by a downgrade; restore a backup instead.")
