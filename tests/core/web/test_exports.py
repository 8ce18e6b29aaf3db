"""Lists as files: the reach and the filters hold, nothing is a formula, large ones are jobs of one person."""

import csv
import datetime as dt
import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from enrollment_addon.core import exports
from enrollment_addon.core.batches import Batch, BatchState
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.models import CreditEntry
from enrollment_addon.jobs import dispatch, runner
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.jobs.service import PURGE_EXPORTS, queue_job
from enrollment_addon.people.models import Client
from tests import factories
from tests.core.web.conftest import AsUser, World, content
from tests.jobs.host import logged

LISTS = ("clients", "households", "participants", "lots", "ledger", "batches", "jobs")


def table(answer: TestResponse) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def cells(answer: TestResponse) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(answer.get_data()))
    return [list(row) for row in book.active.iter_rows()]


def test_a_file_holds_the_rows_in_reach_and_no_others(world: World, as_user: AsUser) -> None:
    nora, owner = as_user("nora"), as_user("owner")
    for name in LISTS:
        mine = nora.get(f"/enrollment/{name}/export/csv")
        assert table(mine), name
        assert "Bob" not in mine.text, name
        assert "Baker" not in mine.text, name
        assert len(table(owner.get(f"/enrollment/{name}/export/csv"))) == 2 * len(table(mine)), name
    book = cells(nora.get("/enrollment/clients/export/xlsx"))
    assert sorted(row[1].value for row in book[1:]) == ["Ann", "Pat"]
    assert nora.get("/enrollment/clients/export/pdf").status_code == 404


@pytest.mark.databases("sqlite")
def test_a_file_is_the_list_as_filtered(world: World, session: Session, as_user: AsUser) -> None:
    owner = as_user("owner")
    session.get_one(Client, world.bob).archived = True
    session.commit()

    def names(query: str) -> list[str]:
        return sorted(row["First name"] for row in table(owner.get(f"/enrollment/clients/export/csv?{query}")))

    assert names("") == ["Ann", "Pat", "Pat"]
    assert names("search=archer") == ["Ann"]
    assert names("_flt_1_first_name=Pa") == ["Pat", "Pat"]
    assert names("_flt_0_archived=1") == ["Bob"]
    assert names("search=nobody") == []
    (ann,) = table(owner.get("/enrollment/clients/export/csv?search=archer"))
    assert [ann[name] for name in ("Credits", "Reserved", "Used", "Next expiry")] == ["10", "0", "0", ""]


@pytest.mark.databases("sqlite")
def test_no_cell_is_a_formula(world: World, session: Session, as_user: AsUser) -> None:
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', 'a"b,c\nd']
    for text in nasty:
        factories.make_client(session, club_id=world.own["ClubView"], first_name="Formula", last_name=text)
    session.commit()
    owner = as_user("owner")
    said = [r["Last name"] for r in table(owner.get("/enrollment/clients/export/csv?_flt_2_first_name=Formula"))]
    assert said == [text if text.startswith("a") else f"'{text}" for text in nasty]
    book = cells(owner.get("/enrollment/clients/export/xlsx?_flt_2_first_name=Formula"))
    assert {cell.data_type for row in book[1:] for cell in row} <= {"s", "n", "b"}
    assert not any(cell.hyperlink for row in book for cell in row)
    assert [row[2].value for row in book[1:]][:4] == nasty[:4]


@pytest.mark.databases("sqlite")
def test_a_file_leaves_in_pieces(world: World, session: Session, as_user: AsUser) -> None:
    """More rows than are read at once, so that the second reading is seen too."""
    club = world.own["ClubView"]
    session.bulk_insert_mappings(
        Client.__mapper__,
        [{"first_name": "Many", "last_name": f"No {n}", "club_id": club, "tags": []} for n in range(1200)],
    )
    session.commit()
    answer = as_user("owner").http.get("/enrollment/clients/export/csv?_flt_2_first_name=Many", buffered=False)
    assert answer.is_streamed
    assert "Content-Length" not in answer.headers
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="clients-')
    pieces = list(answer.response)
    assert len(pieces) > 2
    assert len(list(csv.reader(io.StringIO(b"".join(pieces).decode())))) == 1201


def test_more_rows_than_a_sheet_holds_go_on_in_the_next() -> None:
    book = io.BytesIO()
    exports.write_xlsx(book, ["Number"], ([n] for n in range(5)), rows_of_a_sheet=2)
    sheets = openpyxl.load_workbook(book).worksheets
    assert [[row[0].value for row in sheet.iter_rows()] for sheet in sheets] == [
        ["Number", 0, 1], ["Number", 2, 3], ["Number", 4],
    ]


def run_jobs(app: Flask) -> None:
    runner.run_waiting(dispatch.session_for(app), lease_seconds=30)


class TestLargeFiles:
    @pytest.fixture
    def config(self, tmp_path: Any) -> dict[str, Any]:
        return {
            "ENROLLMENT_EXPORT_JOB_ROWS": 1, "ENROLLMENT_EXPORT_FOLDER": str(tmp_path),
            "ENROLLMENT_TIMEZONE": "Pacific/Kiritimati",
        }

    def queue(self, app: Flask, world: World, session: Session, visitor: Any, url: str) -> int:
        """Ask for a large file, say yes and let the background do it; the job's key."""
        asked = visitor.get(url)
        assert "Prepare the file" in content(asked)
        session.rollback()
        assert len(session.scalars(select(Job.id)).all()) == 2, "asking queues nothing"
        job_id = self.ask(visitor, url)
        run_jobs(app)
        session.rollback()
        assert session.get_one(Job, job_id).state == JobState.done, session.get_one(Job, job_id).message
        return job_id

    def ask(self, visitor: Any, url: str, **options: Any) -> int:
        """Say that the large file is to be prepared; the job's key."""
        posted = visitor.post(url, **options)
        assert posted.status_code == 302
        assert posted.headers["X-Request-ID"] == options.get("headers", posted.headers)["X-Request-ID"]
        return int(posted.headers["Location"].rsplit("/", 1)[1])

    def test_it_is_prepared_in_the_background_for_the_one_who_asked(
        self, app: Flask, world: World, session: Session, as_user: AsUser
    ) -> None:
        """Nora's file holds her reach; not even the owner, who sees the job, gets it."""
        nora = as_user("nora")
        url = "/enrollment/clients/export/csv?_flt_0_archived=0&_flt_0_credits=99"
        job_id = self.queue(app, world, session, nora, url)
        assert "The file is ready." in content(nora.get(f"/enrollment/jobs/show/{job_id}"))
        found = nora.get(f"/enrollment/jobs/file/{job_id}")
        assert [row["First name"] for row in table(found)] == ["Ann", "Pat"]
        owner, sam = as_user("owner"), as_user("sam")
        assert "Nora Test" in content(owner.get(f"/enrollment/jobs/show/{job_id}")), "who started it"
        assert "Nora Test" in content(owner.get("/enrollment/jobs/list/?_flt_0_kind=export"))
        for other in (owner, sam):
            assert other.get(f"/enrollment/jobs/file/{job_id}").status_code == 404
        debts = self.ask(owner, "/enrollment/open-charges/export/csv")
        run_jobs(app)
        rows = table(owner.get(f"/enrollment/jobs/file/{debts}"))
        assert {row["Client number"] for row in rows} == {str(world.ann), str(world.bob)}
        assert float(rows[0]["Total"]) > 0

    @pytest.mark.databases("sqlite")
    def test_a_workbook_has_all_rows_and_no_formula(
        self, app: Flask, world: World, session: Session, as_user: AsUser
    ) -> None:
        factories.make_client(session, club_id=world.own["ClubView"], first_name="=1+1", last_name="Archer")
        session.commit()
        owner = as_user("owner")
        job_id = self.queue(app, world, session, owner, "/enrollment/clients/export/xlsx?search=archer")
        book = cells(owner.get(f"/enrollment/jobs/file/{job_id}"))
        assert sorted(str(row[1].value) for row in book[1:]) == ["=1+1", "Ann"]
        assert all(cell.data_type != "f" for row in book for cell in row)

    @pytest.mark.databases("sqlite")
    def test_it_has_the_language_the_clock_and_the_types_of_a_small_one(
        self, app: Flask, world: World, session: Session, as_user: AsUser
    ) -> None:
        owner = as_user("owner")
        owner.get("/lang/de")
        with logged() as lines:
            job_id = self.ask(owner, "/enrollment/ledger/export/xlsx", headers={"X-Request-ID": "proxy-7"})
            run_jobs(app)
        told = {line["event"]: line for line in lines}
        assert told["queue_job"]["result"] == "ok"
        assert told["queue_job"]["seconds"] >= 0
        assert {told[event]["request_id"] for event in ("queue_job", "job_started", "job_ended")} == {"proxy-7"}
        header, first, *_ = cells(owner.get(f"/enrollment/jobs/file/{job_id}"))
        assert [header[0].value, header[5].value] == ["Kunde", "Wann"]
        entry = session.scalars(select(CreditEntry).order_by(CreditEntry.id)).first()
        assert entry is not None
        local = (entry.at + dt.timedelta(hours=14)).replace(tzinfo=None)
        assert abs(first[5].value - local) < dt.timedelta(seconds=1)
        assert (first[5].number_format, first[3].value) == ("yyyy-mm-dd hh:mm:ss", entry.available_change)
        assert first[1].value == "Gutgeschrieben"

    @pytest.mark.databases("sqlite")
    def test_one_that_is_taken_over_has_every_row_once(
        self, app: Flask, world: World, session: Session, as_user: AsUser, tmp_path: Path
    ) -> None:
        """One worker stops after the rows, the next one while it makes the file; a third brings it to its end."""
        owner = as_user("owner")
        job_id = self.ask(owner, "/enrollment/clients/export/xlsx")
        for _ in range(2):
            stop = iter((False, True))
            runner.run_job(dispatch.session_for(app), job_id, lease_seconds=30, stop=lambda s=stop: next(s))
        for path in tmp_path.iterdir():  # what a worker that lost the job still writes
            with path.open("ab") as file:
                file.write(b"junk")
        run_jobs(app)
        book = cells(owner.get(f"/enrollment/jobs/file/{job_id}"))
        assert sorted(str(row[1].value) for row in book[1:]) == ["Ann", "Bob", "Pat", "Pat"]
        assert len(list(tmp_path.iterdir())) == 1, "what the file was made of is gone"

        (tmp_path / "other.csv").touch()
        for days in (7, 0):
            with unit_of_work(session):
                queue_job(session, kind=PURGE_EXPORTS, input={"days": days}, actor=SYSTEM)
            run_jobs(app)
            assert len(list(tmp_path.iterdir())) == (2 if days else 1), "only old files, and only ours"
        assert "no longer kept" in content(owner.get(f"/enrollment/jobs/show/{job_id}"))
        assert owner.get(f"/enrollment/jobs/file/{job_id}").status_code == 404

    @pytest.mark.databases("sqlite")
    def test_mine_means_mine_in_the_background_too(
        self, app: Flask, world: World, session: Session, as_user: AsUser
    ) -> None:
        sam = as_user("sam")
        for _ in range(2):
            session.add(done_batch(world.sam_user, world.own["EventTypeView"]))
        session.commit()
        job_id = self.queue(app, world, session, sam, "/enrollment/batches/export/csv?_flt_0_mine=1")
        assert len(table(sam.get(f"/enrollment/jobs/file/{job_id}"))) == 3


def done_batch(user_id: int, event_type_id: int) -> Batch:
    return Batch(
        kind="credits.grant", state=BatchState.done, created_by_id=user_id, total=1, done=1, skipped=[],
        input={"event_type_id": event_type_id, "quantity": 10, "left_out": {}},
    )
