"""How a revision runs: on the connection that `enrollment_addon.core.install` hands over, never by itself."""

from alembic import context

from enrollment_addon.core.install import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
