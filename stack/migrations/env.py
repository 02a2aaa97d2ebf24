"""Run by Alembic for every migration, on the connection that `stack.migrate` hands over."""

from alembic import context

from stack.migrate import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables(),
    transaction_per_migration=True,
    compare_server_default=True,
)

with context.begin_transaction():
    context.run_migrations()
