"""Create the files of saved tests, and record which of them a run used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the column."""
    op.add_column("runs", sa.Column("files_json", sa.Text(), nullable=True))
    op.create_table(
        "file_contents",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_file_contents")),
    )
    op.create_table(
        "file_chunks",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["file_contents.digest"], name=op.f("fk_file_chunks_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "number", name=op.f("pk_file_chunks")),
    )
    op.create_table(
        "test_files",
        sa.Column("test_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["file_contents.digest"], name=op.f("fk_test_files_digest")),
        sa.ForeignKeyConstraint(
            ["test_id"], ["test_configs.id"], name=op.f("fk_test_files_test_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("test_id", "name", name=op.f("pk_test_files")),
    )
    op.create_index(op.f("ix_test_files_digest"), "test_files", ["digest"])


def downgrade() -> None:
    """Remove the tables and the column."""
    op.drop_table("test_files")
    op.drop_table("file_chunks")
    op.drop_table("file_contents")
    op.drop_column("runs", "files_json")
