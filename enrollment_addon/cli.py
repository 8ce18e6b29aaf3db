"""`flask enrollment …`. Exit codes: 0 fine, 1 something was found, 2 wrong use or refused."""

import functools
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click
from alembic.util import CommandError
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.exc import InterfaceError, OperationalError

from .core import install
from .core.db import unit_of_work
from .core.errors import AddonError
from .core.extension import Extension
from .core.scope import SYSTEM

MOST_COUNTED = 1_000_000
"""Up to so many rows a list is counted for the bar that shows the progress of its export."""


class Line:
    """One line on standard error that says how far a command is, where that is a terminal.

    A bar would not do: what is found is printed meanwhile, and a job says only later how many items it has.
    """

    def __init__(self, *, hidden: bool) -> None:
        self._shown = not hidden and sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r\033[K{text}", err=True, nl=False)

    def clear(self) -> None:
        """Make room for other lines."""
        self.show("")

    def share(self, what: str, share: float) -> None:
        self.show(f"{what}: {share:.0%}")

    def count(self, what: str, done: int, total: int) -> None:
        self.show(f"{what}: {done:,} of {max(done, total):,}")


@click.group(cls=AppGroup)
def enrollment() -> None:
    """Enrollment and session credits."""


database = AppGroup("db", help="The add-on's own tables.")
enrollment.add_command(database)

as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for machines.")


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a refusal, and a database that is away, are told on standard error and end with code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AddonError as error:
            fields = "; ".join(f"{name}: {message}" for name, message in error.fields.items())
            _refuse(f"{error.error_code}: {error.text()} {fields}".rstrip())
        except CommandError as error:
            _refuse(str(error))
        except (OperationalError, InterfaceError) as error:
            _refuse(f"The database cannot be used now: {error.orig}")

    return run


def working(module: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a command that needs the tables at their newest and this module switched on."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            if module not in _extension().settings.modules:
                _refuse(f"The module {module} is switched off (ENROLLMENT_MODULES).")
            if not install.at_head(_engine()):
                _refuse("The tables are not those of this version. Run: flask enrollment init")
            return command(*args, **kwargs)

        return refusing(run)

    return decorate


def _refuse(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(2)


def _app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app


def _extension() -> Extension:
    extension: Extension = current_app.extensions["enrollment"]
    return extension


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
    install.upgrade(_engine())
    _say(as_json, {"added": (added := install_permissions())}, _added(added))


def install_permissions() -> dict[str, int]:
    """Write the add-on's permissions and roles; how many permissions each role got that it never had."""
    from . import manifest
    from .core.roles import install_roles

    appbuilder = current_app.appbuilder  # type: ignore[attr-defined]
    appbuilder.add_permissions(update_perms=True)
    wanted = manifest.role_permissions(_extension().settings.modules)
    with unit_of_work(_session()) as session:
        return install_roles(session, appbuilder.sm, wanted)


def _added(added: dict[str, int]) -> str:
    lines = [f"{role}: {count} permissions added" for role, count in added.items() if count]
    return "\n".join(lines) or "Everything is up to date."


@database.command("upgrade")
@click.argument("revision", default="head")
@as_json
@refusing
def db_upgrade(revision: str, as_json: bool) -> None:
    """Bring the tables to a revision (default: the newest)."""
    install.upgrade(_engine(), revision)
    _say_revision(as_json, "at ")


def _say_revision(machine: bool, before: str = "") -> None:
    revision = install.current(_engine())
    _say(machine, {"revision": revision, "newest": install.head()}, f"{before}{revision or 'base'}")


@database.command("downgrade")
@click.argument("revision")
@click.option("--drop-data", is_flag=True, help="Also remove tables that hold data.")
@as_json
@refusing
def db_downgrade(revision: str, drop_data: bool, as_json: bool) -> None:
    """Go back to an earlier revision, keeping the data; "base" removes the add-on's tables."""
    install.downgrade(_engine(), revision, drop_data=drop_data)
    _say_revision(as_json, "at ")


@database.command("current")
@as_json
@refusing
def db_current(as_json: bool) -> None:
    """Which revision the database is at."""
    _say_revision(as_json)


@database.command("check")
@as_json
@refusing
def db_check(as_json: bool) -> None:
    """Compare the database with the models; code 1 if they differ."""
    found = install.check(_engine())
    _say(as_json, {"differences": found}, "\n".join(found) or "The database and the models agree.")
    sys.exit(1 if found else 0)


@enrollment.command()
@click.option("--clients", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--if-empty", is_flag=True, help="Where there are clients already, only print the log-ins.")
@as_json
@working("credits")
def demo(clients: int, seed: int, if_empty: bool, as_json: bool) -> None:
    """Fill an empty installation with realistic data, and print the log-ins."""
    from .demo import data, people

    made = 0 if _has_clients() else clients
    if made:
        users = people.create_users()
        with click.progressbar(length=clients, label="Demo data", file=sys.stderr, hidden=as_json) as bar:
            data.load(_session(), users=users, clients=clients, seed=seed, progress=bar.update)
    elif not if_empty:
        _refuse("There are clients already; the demo data is for an empty installation.")
    log_ins = [{"username": name, "password": people.PASSWORD, "role": what} for name, what in people.SHOWN]
    _say(as_json, {"clients": made, "log_ins": log_ins}, people.log_ins())


def _has_clients() -> bool:
    from sqlalchemy import select

    from .people.models import Client

    return _session().execute(select(Client.id).limit(1)).first() is not None


@enrollment.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
@click.option("--repair", is_flag=True, help="Write correcting entries and rows.")
@working("credits")
def check(as_json: bool, repair: bool) -> None:
    """Prove that the ledger and money add up; print every row that does not. Code 1 if one is left."""
    found = left = 0
    line = Line(hidden=as_json)
    with unit_of_work(_session()) if repair else nullcontext():
        for name, prove in _extension().checks.items():
            share = functools.partial(line.share, name.capitalize())
            for finding in prove(_session(), repair=repair, progress=share):
                found, left = found + 1, left + (not finding.repaired)
                told = ", ".join(f"{k} {v}" for k, v in asdict(finding).items() if v is not None)
                line.clear()
                click.echo(json.dumps(asdict(finding), default=str) if as_json else told)
    line.clear()
    if not as_json:
        click.echo(f"{found} found, {found - left} repaired." if found else "The ledger and money are consistent.")
    sys.exit(1 if left else 0)


@enrollment.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every row and write nothing.")
@as_json
@working("credits")
def grant(file: Path, dry_run: bool, as_json: bool) -> None:
    """Add session credits from a CSV file.

    Its columns: client (e-mail or id), event_type (name or id), quantity, expires_on (may be empty).

    All rows or none; the same file a second time adds nothing.
    """
    from .credits.grant_file import grant_from_file, granted_before, read_file

    asked = read_file(_session(), file)
    for error in asked.errors:
        click.echo(f"line {error.line}: {error.text()}", err=True)
    if asked.refused:
        if asked.refused > len(asked.errors):
            click.echo(f"… and {asked.refused - len(asked.errors)} more", err=True)
        rows = asked.rows + asked.refused
        _refuse(f"{asked.refused} of {rows} rows cannot be used; nothing was written.")
    if dry_run:
        known = granted_before(_session(), asked, actor=SYSTEM)
        facts = {"rows": asked.rows, "credits": 0 if known else asked.credits, "again": known}
        would = f"{asked.rows} rows would give {asked.credits} credits."
        _say(as_json, facts, "This file was granted before; nothing would be added." if known else would)
        return
    bar = click.progressbar(length=asked.rows, label="Session credits", file=sys.stderr, hidden=as_json)
    with bar, unit_of_work(_session()) as session:
        result = grant_from_file(
            session, asked, actor=SYSTEM, chunk=_extension().settings.grant_chunk, progress=bar.update
        )
    told = f"{asked.rows} rows gave {result['credits']} credits; {result['skipped']} clients were left out."
    again = "This file was granted before; nothing was added. The first time: "
    _say(as_json, {"rows": asked.rows, **result}, again + told if result["again"] else told)


@enrollment.command("import-clients")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Which column is a field (repeatable).")
@click.option("--club", help="Name of the club of clients whose row names none.")
@click.option("--dates", type=click.Choice(("ymd", "dmy", "mdy")), default="ymd", show_default=True)
@click.option("--decimal", type=click.Choice((".", ",")), default=".", show_default=True)
@click.option("--dry-run", is_flag=True, help="Check every row and write nothing.")
@as_json
@working("credits")
def import_clients(
    file: Path, mapping: tuple[str, ...], club: str | None, dates: str, decimal: str, dry_run: bool, as_json: bool
) -> None:
    """Create and change clients and their opening credits from a CSV or XLSX file.

    Columns are recognized by their names unless --map says otherwise. The same rows a second time change
    nothing. Code 1 if rows were refused; they are listed on standard error.
    """
    from .credits.imports import commands

    bar = click.progressbar(length=1, label="Clients", file=sys.stderr, hidden=as_json)
    with bar:

        def progress(total: int, rows: int) -> None:
            bar.length = total
            bar.update(rows)

        result = commands.run(
            _session(), file=file, mapping=mapping, club=club, dates=dates, decimal=decimal, dry_run=dry_run,
            progress=progress,
        )
    for number, reason in result.refused:
        click.echo(f"row {number}: {reason}", err=True)
    hidden = result.counts["refused"] - len(result.refused)
    if hidden:
        click.echo(f"… and {hidden} more", err=True)
    text = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    _say(as_json, {"dry_run": dry_run, "import_id": result.import_id, **result.counts}, text)
    sys.exit(1 if result.counts["refused"] else 0)


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole; until then what had the name before stays. Refuses on a full disk."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except OSError as error:
        _refuse(f"{target} cannot be written: {error.strerror or error}")
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@enrollment.command()
@click.argument("name", metavar="LIST")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--query", default="", help="Search and filters as in the list's address: search=ann&_flt_0_archived=0")
@as_json
@working("people")
def export(name: str, target: Path, query: str, as_json: bool) -> None:
    """Write a list, as filtered, to a .csv or .xlsx file. LIST is its name in the address: clients, lots, ledger."""
    from .core.exports import csv_lines, write_xlsx
    from .core.web.export_files import rows_of
    from .core.web.views import RecordView

    views = {v.route_base.rsplit("/", 1)[-1]: v for v in _extension().views.values() if isinstance(v, RecordView)}
    if name not in views:
        _refuse(f"There is no list “{name}”; there are {', '.join(sorted(views))}.")
    if target.suffix not in (".csv", ".xlsx"):
        _refuse("The file's name ends with .csv or .xlsx.")
    view, count = views[name], 0
    total, _more = view.export_count(query, MOST_COUNTED)  # what cannot be read is refused before there is a file
    bar = click.progressbar(length=total, label=str(target), file=sys.stderr, hidden=as_json)

    def rows() -> Any:
        nonlocal count
        for row in rows_of(view, query):
            count += 1
            bar.update(1)
            yield row

    with _whole(target) as file, bar:
        if target.suffix == ".csv":
            file.writelines(line.encode() for line in csv_lines(view.export_header(), rows()))
        else:
            write_xlsx(file, view.export_header(), rows())
    _say(as_json, {"rows": count, "file": str(target)}, f"{count} rows written to {target}.")


@enrollment.command("run-due")
@click.option("--often", is_flag=True, help="Only what cannot wait for the night, such as places for those who wait.")
@as_json
@working("people")
def run_due(often: bool, as_json: bool) -> None:
    """Do what is due, and jobs that were left behind. For cron, where no Celery beat runs: once a night, and with
    --often every few minutes."""
    from .jobs.dispatch import session_for
    from .jobs.runner import run_waiting
    from .jobs.service import queue_due

    extension = _extension()
    sent = extension.dispatcher.resend()
    with unit_of_work(_session()) as session:
        queued = queue_due(session, due=extension.due_now(session, often=often), actor=SYSTEM)
    ran = 0
    if not extension.settings.broker_url:
        line = Line(hidden=as_json)
        ran = run_waiting(
            session_for(_app()), lease_seconds=extension.settings.job_lease_seconds, watch=line.count
        )
        line.clear()
    told = f"{len(queued)} jobs queued, {sent} sent again, {ran} jobs run."
    _say(as_json, {"queued": len(queued), "sent": sent, "ran": ran}, told)


@enrollment.command()
@click.option("--beat", is_flag=True, help="This worker also sends the periodic work; exactly one may.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--pool", default="prefork", show_default=True)
@working("people")
def worker(beat: bool, concurrency: int, pool: str) -> None:
    """Work on background jobs until stopped: with Celery when a broker is set, else in this process."""
    settings = _extension().settings
    if settings.broker_url:
        from .jobs.celery import run_worker

        run_worker(_app(), beat=beat, concurrency=concurrency, pool=pool)
        return
    from .jobs.dispatch import POLL_SECONDS, session_for
    from .jobs.runner import run_waiting

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.is_set():
        run_waiting(session_for(_app()), lease_seconds=settings.job_lease_seconds, stop=stopped.is_set)
        stopped.wait(POLL_SECONDS)
