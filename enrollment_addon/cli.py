"""`flask enrollment …`. Exit codes: 0 fine, 1 something was found, 2 wrong use or refused."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from .core.db import unit_of_work
from .core.errors import AddonError
from .core.scope import SYSTEM

enrollment = AppGroup("enrollment", help="Enrollment and session credits.")
database = AppGroup("db", help="The add-on's own tables.")
enrollment.add_command(database)

as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for machines.")


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a refusal is told on standard error and ends with code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AddonError as error:
            fields = "; ".join(f"{name}: {message}" for name, message in error.fields.items())
            click.echo(f"{error.error_code}: {error.text()} {fields}".rstrip(), err=True)
            sys.exit(2)

    return run


def _session() -> Any:
    return current_app.appbuilder.session  # type: ignore[attr-defined]


def _engine() -> Any:
    return _session().get_bind()


def _say(machine: bool, facts: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(facts, default=str) if machine else text)


@enrollment.command()
@as_json
@refusing
def init(as_json: bool) -> None:
    """Bring the tables up to date and install what roles and permissions are new in this version."""
    from .core import install

    install.upgrade(_engine())
    _say(as_json, {"added": (added := install_permissions())}, _added(added))


def install_permissions() -> dict[str, int]:
    """Write the add-on's permissions and roles; how many permissions each role got that it never had."""
    from . import manifest
    from .core.roles import install_roles

    appbuilder = current_app.appbuilder  # type: ignore[attr-defined]
    appbuilder.add_permissions(update_perms=True)
    wanted = manifest.role_permissions(current_app.extensions["enrollment"].settings.modules)
    with unit_of_work(_session()) as session:
        return install_roles(session, appbuilder.sm, wanted)


def _added(added: dict[str, int]) -> str:
    lines = [f"{role}: {count} permissions added" for role, count in added.items() if count]
    return "\n".join(lines) or "Everything is up to date."


@database.command("upgrade")
@click.argument("revision", default="head")
@refusing
def db_upgrade(revision: str) -> None:
    """Bring the tables to a revision (default: the newest)."""
    from .core import install

    install.upgrade(_engine(), revision)
    click.echo(f"at {install.current(_engine())}")


@database.command("downgrade")
@click.argument("revision")
@click.option("--drop-data", is_flag=True, help="Also remove tables that hold data.")
@refusing
def db_downgrade(revision: str, drop_data: bool) -> None:
    """Go back to an earlier revision, keeping the data; "base" removes the add-on's tables."""
    from .core import install

    install.downgrade(_engine(), revision, drop_data=drop_data)
    click.echo(f"at {install.current(_engine()) or 'base'}")


@database.command("current")
def db_current() -> None:
    """Which revision the database is at."""
    from .core import install

    click.echo(install.current(_engine()) or "base")


@database.command("check")
@as_json
def db_check(as_json: bool) -> None:
    """Compare the database with the models; code 1 if they differ."""
    from .core import install

    found = install.check(_engine())
    _say(as_json, {"differences": found}, "\n".join(found) or "The database and the models agree.")
    sys.exit(1 if found else 0)


@enrollment.command()
@click.option("--clients", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same data.")
@refusing
def demo(clients: int, seed: int) -> None:
    """Fill an empty installation with realistic data, and print the log-ins."""
    from .demo import data, people

    if _has_clients():
        click.echo("There are clients already; the demo data is for an empty installation.", err=True)
        sys.exit(2)
    users = people.create_users()
    with click.progressbar(length=clients, label="Demo data", file=sys.stderr) as bar:
        data.load(_session(), users=users, clients=clients, seed=seed, progress=bar.update)
    click.echo(people.log_ins())


def _has_clients() -> bool:
    from sqlalchemy import select

    from .people.models import Client

    return _session().execute(select(Client.id).limit(1)).first() is not None


@enrollment.command()
@as_json
@click.option("--repair", is_flag=True, help="Write correcting entries and rows.")
def check(as_json: bool, repair: bool) -> None:
    """Prove that lots, entries and balances agree; print every row that does not. Code 1 if one does not."""
    from dataclasses import asdict

    from .credits.service import check_ledger

    found = 0
    with unit_of_work(_session()) as session:
        for finding in check_ledger(session, repair=repair):
            found += 1
            told = ", ".join(f"{k} {v}" for k, v in asdict(finding).items() if v is not None)
            click.echo(json.dumps(asdict(finding), default=str) if as_json else told)
    if not as_json:
        click.echo(f"{found} found." if found else "The ledger is consistent.")
    sys.exit(1 if found and not repair else 0)


@enrollment.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every row and write nothing.")
@as_json
@refusing
def grant(file: Path, dry_run: bool, as_json: bool) -> None:
    """Add session credits from a CSV: client (e-mail or id), event_type (name or id), quantity, expires_on."""
    from .credits.grant_file import grant_rows, read_rows

    rows, errors = read_rows(_session(), file)
    for error in errors[:100]:
        click.echo(f"line {error.line}: {error.text()}", err=True)
    if errors:
        click.echo(f"{len(errors)} of {len(rows) + len(errors)} rows cannot be used; nothing was written.", err=True)
        sys.exit(2)
    result = {"rows": len(rows), "credits": sum(r.quantity for r in rows), "batches": []}
    if not dry_run:
        settings = current_app.extensions["enrollment"].settings
        with unit_of_work(_session()) as session:
            result["batches"] = grant_rows(session, rows, file=file, actor=SYSTEM, chunk=settings.grant_chunk)
    verb = "would get" if dry_run else "got"
    _say(as_json, result, f"{result['rows']} rows {verb} {result['credits']} credits.")


@enrollment.command()
@click.option("--beat", is_flag=True, help="This worker also sends the periodic work; exactly one may.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--pool", default="prefork", show_default=True)
def worker(beat: bool, concurrency: int, pool: str) -> None:
    """Work on background jobs: with Celery when a broker is set, else in this process until it is stopped."""
    settings = current_app.extensions["enrollment"].settings
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if settings.broker_url:
        from .jobs.celery import run_worker

        run_worker(app, beat=beat, concurrency=concurrency, pool=pool)
        return
    import threading

    from .jobs.dispatch import POLL_SECONDS, session_for
    from .jobs.runner import run_waiting

    stopped = threading.Event()
    try:
        while True:
            run_waiting(session_for(app), lease_seconds=settings.job_lease_seconds, stop=stopped.is_set)
            stopped.wait(POLL_SECONDS)
    except KeyboardInterrupt:
        stopped.set()
