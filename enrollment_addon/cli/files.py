"""Files in and out: credits and clients from a file, a list into one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import click

from ..core.db import unit_of_work
from ..core.scope import SYSTEM
from .common import as_json, enrollment, get_extension, get_session, refuse, say, working

MOST_COUNTED = 1_000_000
"""Up to so many rows a list is counted for the bar that shows the progress of its export."""


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
    from ..credits.grant_file import grant_from_file, granted_before, read_file

    asked = read_file(get_session(), file)
    for error in asked.errors:
        click.echo(f"line {error.line}: {error.text()}", err=True)
    if asked.refused:
        if asked.refused > len(asked.errors):
            click.echo(f"… and {asked.refused - len(asked.errors)} more", err=True)
        rows = asked.rows + asked.refused
        refuse(f"{asked.refused} of {rows} rows cannot be used; nothing was written.")
    if dry_run:
        known = granted_before(get_session(), asked, actor=SYSTEM)
        facts = {"rows": asked.rows, "credits": 0 if known else asked.credits, "again": known}
        would = f"{asked.rows} rows would give {asked.credits} credits."
        say(as_json, facts, "This file was granted before; nothing would be added." if known else would)
        return
    bar = click.progressbar(length=asked.rows, label="Session credits", file=sys.stderr, hidden=as_json)
    with bar, unit_of_work(get_session()) as session:
        result = grant_from_file(
            session, asked, actor=SYSTEM, chunk=get_extension().settings.grant_chunk, progress=bar.update
        )
    told = f"{asked.rows} rows gave {result['credits']} credits; {result['skipped']} clients were left out."
    again = "This file was granted before; nothing was added. The first time: "
    say(as_json, {"rows": asked.rows, **result}, again + told if result["again"] else told)


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
    from ..credits.imports import commands

    bar = click.progressbar(length=1, label="Clients", file=sys.stderr, hidden=as_json)
    with bar:

        def progress(total: int, rows: int) -> None:
            bar.length = total
            bar.update(rows)

        result = commands.run(
            get_session(), file=file, mapping=mapping, club=club, dates=dates, decimal=decimal, dry_run=dry_run,
            progress=progress,
        )
    for number, reason in result.refused:
        click.echo(f"row {number}: {reason}", err=True)
    hidden = result.counts["refused"] - len(result.refused)
    if hidden:
        click.echo(f"… and {hidden} more", err=True)
    text = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    say(as_json, {"dry_run": dry_run, "import_id": result.import_id, **result.counts}, text)
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
        refuse(f"{target} cannot be written: {error.strerror or error}")
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
    from ..core.exports import csv_lines, write_xlsx
    from ..core.web.export_files import rows_of
    from ..core.web.views import RecordView

    views = {v.route_base.rsplit("/", 1)[-1]: v for v in get_extension().views.values() if isinstance(v, RecordView)}
    if name not in views:
        refuse(f"There is no list “{name}”; there are {', '.join(sorted(views))}.")
    if target.suffix not in (".csv", ".xlsx"):
        refuse("The file's name ends with .csv or .xlsx.")
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
    say(as_json, {"rows": count, "file": str(target)}, f"{count} rows written to {target}.")
