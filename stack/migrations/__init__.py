"""Alembic's revisions of the database: `versions/`, run by `stack.migrate`."""
