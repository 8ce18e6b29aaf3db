"""Imports of many clients: the memory they take."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import xlsxwriter
from sqlalchemy.orm import Session, sessionmaker

import enrollment_addon.credits.imports.jobs  # noqa: F401 - registers the jobs
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.imports import queries, service
from enrollment_addon.credits.imports.calc import Options as ImportOptions
from enrollment_addon.credits.imports.calc import guess
from enrollment_addon.credits.imports.models import ClientImport, Outcome
from enrollment_addon.credits.imports.upload import upload
from enrollment_addon.jobs.models import Job
from enrollment_addon.jobs.runner import run_job

from .databases import databases, filled
from .grant import peak_growth
from .registry import Comparison, Options, benchmark

ROWS = 100_000
WRITTEN = 5_000
"""So many rows are written when the sizes that take minutes are not asked for."""
HEADER = ("First name", "Last name", "E-mail", "Phone", "External reference", "Tags", "Notes")


def _row(number: int) -> tuple[str, ...]:
    return (
        f"Maya {number}", f"Fischer {number}", f"maya{number}@example.com", f"+49 30 {number:07}", f"K{number}",
        "vip;2026", f"Came over from the old system with number {number}",
    )


def csv_file(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.writelines(",".join(line) + "\n" for line in (HEADER,))
        file.writelines(",".join(_row(number)) + "\n" for number in range(rows))


def xlsx_file(path: Path, rows: int) -> None:
    """As spreadsheets write it: texts in one table of their own."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        for number in range(rows):
            sheet.write_row(number + 1, 0, _row(number))


def _staged(factory: sessionmaker[Session], path: Path) -> int:
    with factory() as session, path.open("rb") as file:
        return upload(session, file=file, name=path.name, actor=SYSTEM)


def _through_jobs(factory: sessionmaker[Session], import_id: int, club_id: int) -> None:
    """The dry run and the import, each as its job."""
    with factory() as session, unit_of_work(session):
        columns = guess(session.get_one(ClientImport, import_id).header)
        job_id = service.check_import(
            session, import_id=import_id, options=ImportOptions(columns, club_id), actor=SYSTEM, threshold=0
        )
    _run(factory, job_id)
    with factory() as session, unit_of_work(session):
        job_id = service.start_import(session, import_id=import_id, actor=SYSTEM, threshold=0)
    _run(factory, job_id)


def _run(factory: sessionmaker[Session], job_id: int | None) -> None:
    assert job_id is not None, "the file is large enough for a job"
    run_job(factory, job_id, lease_seconds=60)
    with factory() as session:
        job = session.get_one(Job, job_id)
        assert not job.skipped, f"{job.skipped} rows were refused"


@benchmark("import")
def measure_import(options: Options) -> Iterator[Comparison]:
    """Reading a hundred thousand rows, and writing them with `--full` (else five thousand): the memory."""
    with (
        databases() as servers,
        filled(servers, "postgresql", 10) as (_, factory),
        tempfile.TemporaryDirectory() as folder,
    ):
        kinds: tuple[tuple[str, Callable[[Path, int], None]], ...] = (("csv", csv_file), ("xlsx", xlsx_file))
        for suffix, make in kinds:
            warm, path = Path(folder, f"warm.{suffix}"), Path(folder, f"clients.{suffix}")
            make(warm, 50)
            _staged(factory, warm)
            make(path, ROWS)
            with peak_growth() as grown:
                began = time.perf_counter()
                _staged(factory, path)
                seconds, growth = time.perf_counter() - began, grown()
            yield Comparison(
                f"memory of staging {ROWS:,} rows, {suffix}", growth, "MB", at_most=50, detail=f"{seconds:.0f} s"
            )
        written = ROWS if options.full else WRITTEN
        path = Path(folder, "written.csv")
        csv_file(path, written)
        with peak_growth() as grown:
            began = time.perf_counter()
            key = _staged(factory, path)
            _through_jobs(factory, key, 1)
            seconds, growth = time.perf_counter() - began, grown()
        with factory() as session:
            assert queries.counts(session, key)[Outcome.create] == written
        yield Comparison(
            f"memory of importing {written:,} rows", growth, "MB", at_most=50,
            detail=f"{seconds:.0f} s, {written / seconds:,.0f} rows/s",
        )
