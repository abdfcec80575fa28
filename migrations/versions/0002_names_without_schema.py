"""Names without a schema mean the data sets' tables, also for a role that is called like our schema."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# PostgreSQL looks into a schema of the role's own name first: `SELECT * FROM events` would read our table although a
# data set is called `events`, and CREATE TABLE would make one there.
_IF_CLASHING = """
DO $$ BEGIN
  IF current_user = 'rookery' THEN
    EXECUTE format('ALTER ROLE %I IN DATABASE %I {}', current_user, current_database());
  END IF;
END $$
"""


def upgrade() -> None:
    """Sets the search path of the clashing role, in this database alone."""
    op.execute(_IF_CLASHING.format("SET search_path = public"))


def downgrade() -> None:
    """Takes it back."""
    op.execute(_IF_CLASHING.format("RESET search_path"))
