"""Run the migrations on the connection that is handed in (see `openeo_jobs.storage.migrate`)."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
