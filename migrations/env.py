"""How a revision runs: on the connection that `enrollment_addon.core.install` hands over, never by itself."""

from typing import Any

from alembic import context

from enrollment_addon.core.install import VERSION_TABLE


def _keep_step(**_step: Any) -> None:
    """Keep each step's version with its tables: MariaDB commits what a step did, but its version with the next one."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("COMMIT")


connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE, on_version_apply=_keep_step)
with context.begin_transaction():
    context.run_migrations()
