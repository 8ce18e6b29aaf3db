"""Imports of clients with opening credits: read, checked, written, and written again."""

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import Conflict, InvalidInput
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.core.translations import Translation
from enrollment_addon.credits import people_hooks
from enrollment_addon.credits.imports import hooks, jobs, queries, service
from enrollment_addon.credits.imports.calc import Options, guess, parse_date, parse_number
from enrollment_addon.credits.imports.errors import BadFile
from enrollment_addon.credits.imports.files import digest_of, opened
from enrollment_addon.credits.imports.models import ClientImport, ImportRow, ImportState, Outcome
from enrollment_addon.credits.imports.upload import upload
from enrollment_addon.credits.models import CreditLot
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.jobs.runner import run_job, run_waiting
from enrollment_addon.jobs.service import cancel_job, retry_job
from enrollment_addon.people.models import Client
from enrollment_addon.people.service import erase_client, merge_clients, update_client
from tests import factories
from tests.credits.conftest import Studio
from tests.jobs.host import LEASE_SECONDS, job_of, process, wait_for

HEADER = "Vorname;Nachname;E-Mail;Kundennummer;Terminart;Einheiten;Gültig bis;Einzelwert;Schlagwörter;Telefon"
FILE = f"""{HEADER}
Maya;Fischer;Maya@Example.org;K1;Yoga class;10;31.12.2999;12,50;vip;
Maya;Fischer;;K1;Massage;2;;;;
Noël;Öz;noel@example.org;;yoga CLASS;5;;;;+49 30 1234567
Zoë;;zoe@example.org;;;;;;;
Ben;Kaya;ben@example.org;;Judo;1;;;;
Kim;Lee;kim@example.org;;Yoga class;0;;;;
"""


class Importer:
    """A studio, and short ways through the steps of an import."""

    def __init__(self, session: Session) -> None:
        self.session, self.studio = session, Studio(session)
        with unit_of_work(session):
            self.yoga = factories.make_event_type(session, name="Yoga class").id
            massage = factories.make_event_type(session, name="Massage (de)").id
            names = {"record": "enrollment_event_type", "field": "name"}
            session.add(Translation(record_id=massage, locale="fr", text="Massage", **names))
        self.club_id = self.studio.club_id

    def check(self, content: str | bytes, *, actor: Actor = SYSTEM, threshold: int = 1_000, **over: Any) -> int:
        raw = content.encode() if isinstance(content, str) else content
        key = upload(self.session, file=io.BytesIO(raw), name="clients.csv", actor=actor)
        with unit_of_work(self.session) as session:
            columns = guess(session.get_one(ClientImport, key).header)
            options = {"columns": columns, "club_id": self.club_id, "dates": "dmy", "decimal": ",", **over}
            service.check_import(
                session, import_id=key, options=Options(**options), actor=actor, threshold=threshold
            )
        return key

    def run(self, content: str | bytes, **over: Any) -> dict[str, int]:
        key = self.check(content, **over)
        with unit_of_work(self.session) as session:
            service.start_import(session, import_id=key, actor=over.get("actor", SYSTEM), threshold=1_000)
        return self.counts(key)

    def counts(self, key: int) -> dict[str, int]:
        return {str(outcome): n for outcome, n in queries.counts(self.session, key).items() if n}

    def reasons(self, key: int) -> dict[int, str]:
        refused = queries.rows_page(self.session, key, outcome=Outcome.refused, size=20_000)
        return {row.number: row.message % (row.params or {}) for row in refused}

    def state(self) -> list[Any]:
        """Clients and credits as the database has them."""
        people = self.session.execute(
            select(Client.first_name, Client.last_name, Client.email, Client.phone, Client.tags).order_by(Client.id)
        ).all()
        lots = self.session.execute(
            select(CreditLot.client_id, CreditLot.event_type_id, CreditLot.available, CreditLot.expires_on,
                   CreditLot.unit_value, CreditLot.origin).order_by(CreditLot.id)
        ).all()
        return [people, lots]


@pytest.fixture
def importer(session: Session) -> Importer:
    return Importer(session)


@pytest.mark.all_databases
def test_a_file_is_checked_imported_and_imported_again(importer: Importer) -> None:
    """The story of one file: dry run, import, the same again, a changed one, and one that takes too much back."""
    before = importer.state()
    key = importer.check(FILE)
    assert importer.counts(key) == {"create": 3, "update": 1, "refused": 2}
    assert importer.state() == before, "a dry run writes nothing"
    assert importer.reasons(key) == {
        5: "Last name: This field is required.", 6: "There is no active event type “Judo”.",
    }
    assert importer.run(FILE) == {"create": 3, "update": 1, "refused": 2}
    people, lots = importer.state()
    by_mail = {p.email: p for p in people}
    assert by_mail["maya@example.org"].tags == ["vip"]
    assert by_mail["noel@example.org"].phone == "+49 30 1234567"
    assert sorted((lot.available, str(lot.expires_on), lot.unit_value, lot.origin) for lot in lots) == [
        (2, "None", 0, "import"), (5, "None", 0, "import"), (10, "2999-12-31", 1250, "import"),
    ]
    after = importer.state()
    assert importer.run(FILE) == {"unchanged": 4, "refused": 2}
    assert importer.state() == after, "the same file twice changes nothing the second time"

    client = importer.session.scalars(select(Client).where(Client.email == "kim@example.org")).one()
    with unit_of_work(importer.session) as session:
        update_client(session, id=client.id, first_name="Kimberly", actor=SYSTEM)
    changed = FILE.replace("yoga CLASS;5", "yoga CLASS;7").replace("Massage;2;;", "Massage;2;1.1.2999;")
    assert importer.run(changed) == {"unchanged": 2, "update": 2, "refused": 2}
    assert sorted(lot.available for lot in importer.state()[1]) == [0, 0, 2, 7, 10], "changed rows replace their lots"
    assert "Kimberly" in {p.first_name for p in importer.state()[0]}, "what staff changed since stays"

    noel = importer.session.scalars(select(Client).where(Client.email == "noel@example.org")).one()
    importer.studio.reserve(noel.id, 1, event_type_id=importer.yoga)
    key = importer.check(FILE)
    assert "used or moved since" in importer.reasons(key)[4]
    assert importer.studio.findings() == []


def test_several_balances_contradictions_and_namesakes(importer: Importer) -> None:
    rows = [
        "Ann;Bo;ann@example.org;;Yoga class;3;;;;", "Ann;Bo;ann@example.org;;Yoga class;3;;;;",
        "Anna;Bo;ann@example.org;;Yoga class;4;;;;", "Cy;Do;;;Yoga class;1;;;;+49 30 5555555",
        "Cy;Do;;;;;;;;+49 30 5555555", "A;B;no mail;;;;;;;", "A;B;;;Yoga class;1001;;;;",
        "A;B;;;Yoga class;;;;;", "A;B;;;;5;;;;", "A;B;;;Yoga class;1;31.02.2027;;;", "A;B;;;Yoga class;1;1.1.2020;;;",
        "A;B;;;Yoga class;1;;-3;;", "A;B;;;Yoga class;1;;0,005;;", "too;many;;;;;;;;;;cells",
        "A;B;;;Yoga class;ten;;;;",
    ]
    file = "\n".join([HEADER, *rows])
    key = importer.check(file)
    assert importer.counts(key) == {"create": 2, "update": 1, "unchanged": 1, "refused": 11}
    reasons = importer.reasons(key)
    assert reasons[4] == "First name: row 2 says otherwise of the same person."
    assert [part in reasons[n] for n, part in (
        (7, "not an e-mail"), (8, "from 1 to 1000"), (9, "no number of credits"), (10, "no event type"),
        (11, "not a date"), (12, "in the past"), (13, "below zero"), (14, "more decimals"), (15, "more cells"),
        (16, "“ten” is not a number of credits from 1 to 1000"),
    )] == [True] * 10, reasons
    importer.run(file)
    assert sorted(lot.available for lot in importer.state()[1]) == [1, 3, 3]
    after = importer.state()
    importer.run("\n".join([HEADER, *reversed(rows[:2] + rows[3:])]))
    assert sorted(lot.available for lot in importer.state()[1] if lot.available) == [1, 3, 3], "order means nothing"
    assert len(importer.state()[0]) == len(after[0])


@pytest.mark.databases("sqlite")
def test_people_without_an_address_are_told_apart_by_their_club(importer: Importer) -> None:
    """Each club has its Maria Garcia; a name alone is said in the dry run to be all that tells who is meant."""
    session, head = importer.session, "first name,last name,birth date,event type,credits\n"
    with unit_of_work(session):
        south = factories.make_club(session, name="South").id
        member = factories.make_team_member(session, name="Sam")
        actor = Actor(user_id=member.user_id, reach=Reach.own_clubs, club_ids=(south,))
    file = head + "Maria,Garcia,31.1.1990,,\n"
    assert importer.run(file) == {"create": 1}
    with acting_as(session, actor):
        assert importer.run(file, actor=actor, club_id=south) == {"create": 1}, "whoever imports, in another club"
    for club_id in (importer.club_id, south):
        assert importer.run(file, club_id=club_id) == {"unchanged": 1}, "also for somebody who sees both"
    assert sorted(session.scalars(select(Client.club_id)).all()) == sorted((importer.club_id, south))

    def notes(key: int) -> dict[int, str]:
        found = queries.rows_page(session, key, size=99)
        return {row.number: row.message % (row.params or {}) for row in found if row.message}

    twins = head + "Maria,Garcia,,Yoga class,1\nMaria,Garcia,,Yoga class,2\nIda,Öz,1.2.1990,Yoga class,1\n"
    key = importer.check(twins)
    assert importer.counts(key) == {"create": 2, "update": 1}
    assert {n: text[:42] for n, text in notes(key).items()} == dict.fromkeys(
        (2, 3), "Rows 2, 3 have the same name and become on"
    )
    assert {n: text[:41] for n, text in notes(importer.check(head + "Maria,Garcia,,,\n")).items()} == {
        2: "There is a client of this name already; t",
    }
    own = Actor(user_id=member.user_id, reach=Reach.own_clients, team_member_id=member.id)
    with acting_as(session, own):
        key = importer.check(file, actor=own)
        assert importer.reasons(key)[2].startswith("A client of this name was imported into this club before")


def test_a_scoped_person_reaches_nobody_elses_clients(importer: Importer) -> None:
    session = importer.session
    with unit_of_work(session):
        south = factories.make_club(session, name="South")
        member = factories.make_team_member(session, name="Sam")
        factories.make_team_member(session, name="Nora")
        factories.make_client(session, club=south, email="bob@example.org", first_name="Bob", last_name="South")
        actor = Actor(user_id=member.user_id, reach=Reach.own_clubs, club_ids=(importer.club_id,))
        own = Actor(user_id=member.user_id, reach=Reach.own_clients, team_member_id=member.id)
    file = (
        "first name,last name,email,club,team member\nBob,South,bob@example.org,,\nEve,X,eve@example.org,South,\n"
        "Ira,X,ira@example.org,Nowhere,\nUma,X,uma@example.org,,Nora\n"
    )
    with acting_as(session, actor):
        key = importer.check(file, actor=actor)
        assert importer.counts(key) == {"create": 1, "refused": 3}
        assert importer.reasons(key) == {
            2: "Another client already has this e-mail address.", 3: "There is no club “South”.",
            4: "There is no club “Nowhere”.",
        }
        with pytest.raises(InvalidInput):
            importer.check(file, actor=actor, club_id=south.id)
    with acting_as(session, own):
        assert importer.reasons(importer.check(file, actor=own))[5] == "There is no team member “Nora”."
    assert session.scalar(select(Client.first_name).where(Client.email == "bob@example.org")) == "Bob"


@pytest.mark.databases("sqlite")
def test_imported_people_stay_known_through_merge_and_are_forgotten_when_erased(importer: Importer) -> None:
    people_hooks.plug_in()
    hooks.plug_in()
    importer.run(FILE)
    session = importer.session
    ids = {c.email: c.id for c in session.scalars(select(Client))}
    maya = ids["maya@example.org"]
    with unit_of_work(session):
        merge_clients(
            session, source_id=ids["noel@example.org"], target_id=ids["kim@example.org"], reason="one person",
            keep={}, actor=SYSTEM,
        )
    clients = session.scalar(select(func.count()).select_from(Client))
    key = importer.check(FILE)
    assert set(importer.reasons(key)) == {5, 6}, importer.reasons(key)
    assert importer.run(FILE) == {"unchanged": 4, "refused": 2}, "the merged client’s row means who is left"
    assert session.scalar(select(func.count()).select_from(Client)) == clients
    with unit_of_work(session):
        erase_client(session, client_id=maya, reason="asked", typed_name="Maya Fischer", actor=SYSTEM)
    told = session.scalars(select(ImportRow.cells).where(ImportRow.client_id == maya)).all()
    assert set(told) == {None}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "no header"),
        (b"first name|last name\nA|B\n", "one column only"),
        (b"first name,last name,First Name\nA,B,C\n", "Two columns"),
        (b"first name,last name\n", "no rows"),
        (b"%PDF-1.7 nothing", "neither"),
        (bytes(range(256)) * 4, "neither"),
        (b"PK\x03\x04 broken", "damaged"),
        (b"\xd0\xcf\x11\xe0 old", "old format"),
        (b"a,b\n" + b"1,2\n" * 100_001, "100,000 rows"),
    ],
)
def test_files_that_cannot_be_used_say_why(content: bytes, told: str) -> None:
    def read() -> None:
        digest_of(io.BytesIO(content))
        with opened(io.BytesIO(content)) as (_header, found):
            list(found)

    with pytest.raises(BadFile, match=told):
        read()


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrollment_addon.credits.imports.files.MOST_UNPACKED", 1_000)
    with pytest.raises(BadFile, match="unpacks"), opened(io.BytesIO(workbook([["a", "b"], [1, 2]]))):
        pass


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    text = f"Prénom{delimiter}Nom\r\nZoë{delimiter}'+Müller\r\n\r\nA{delimiter}\"two\r\nlines\"\r\n"
    with opened(io.BytesIO(text.encode(encoding))) as (header, found):
        assert guess(header) == {"first_name": 0, "last_name": 1}
        assert list(found) == [(2, ["Zoë", "+Müller"]), (4, ["A", "two\r\nlines"])]


def workbook(lines: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)  # type: ignore[union-attr]
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def test_a_workbook_keeps_dates_and_numbers(importer: Importer) -> None:
    file = workbook([
        ["First name", "Last name", "Phone", "Event type", "Credits", "Expires on", "Unit cost"],
        ["Ann", "Bo", 49301234567, "Yoga class", 4, dt.datetime(2999, 1, 31), 12.5],
        [],
        ["Cy", "Do", None, "Yoga class", "3", "1.2.2999", "1.234,50"],
    ])
    assert importer.run(file) == {"create": 2}
    assert importer.run(file) == {"unchanged": 2}
    assert sorted((lot.available, str(lot.expires_on), lot.unit_value) for lot in importer.state()[1]) == [
        (3, "2999-02-01", 123450), (4, "2999-01-31", 1250),
    ]
    assert "49301234567" in {p.phone for p in importer.state()[0]}


def test_cells_in_the_chosen_formats() -> None:
    assert str(parse_date("3/4/2027", "mdy")) == "2027-03-04"
    assert str(parse_date("2027-03-04", "dmy")) == "2027-03-04"
    assert str(parse_number("1'234.50", ".")) == "1234.50"
    for wrong in ("1.2.27", "32.1.2027", "soon"):
        with pytest.raises(InvalidInput):
            parse_date(wrong, "dmy")
    for wrong in ("1,5", "NaN", "ten", "1.2.3"):
        with pytest.raises(InvalidInput):
            parse_number(wrong, ".")


@pytest.mark.databases("postgresql")
def test_many_rows_go_through_a_job_that_another_worker_goes_on_with(importer: Importer, session_factory: Any) -> None:
    """Ten thousand bad rows among good ones; the worker stops in the middle; every row is done exactly once."""
    lines = [f"F{n},L{n},p{n}@{'bad' if n % 25 else 'example.org'},Yoga class,1" for n in range(10_425)]
    file = "first name,last name,email,event type,credits\n" + "\n".join(lines)
    assert jobs.CHECK, "the kinds of jobs are registered"
    key = importer.check(file, threshold=0)
    session = importer.session
    job_id = session.get_one(ClientImport, key).job_id
    session.commit()
    run_job(session_factory, job_id, lease_seconds=60)
    assert importer.counts(key) == {"create": 417, "refused": 10_008}
    with unit_of_work(session):
        job_id = service.start_import(session, import_id=key, actor=SYSTEM, threshold=0)
        assert job_id is not None
        with pytest.raises(Conflict):
            service.start_import(session, import_id=key, actor=SYSTEM, threshold=0)
    steps = iter(range(200))
    run_job(session_factory, job_id, lease_seconds=60, stop=lambda: next(steps) >= 45)
    session.rollback()
    half = session.scalar(select(func.count()).select_from(CreditLot))
    assert 0 < half < 417
    run_job(session_factory, job_id, lease_seconds=60)
    session.rollback()
    job = session.get_one(Job, job_id)
    assert (job.state, job.done, job.skipped) == (JobState.done, 417, 10_008)
    assert session.get_one(ClientImport, key).state == ImportState.done
    assert session.scalar(select(func.count()).select_from(CreditLot)) == 417
    assert importer.counts(key)["refused"] == 10_008
    assert importer.studio.findings() == []


@pytest.mark.databases("sqlite")
def test_a_killed_import_goes_on_and_a_cancelled_one_stops(
    importer: Importer, session_factory: Any, database_url: str
) -> None:
    """`kill -9` in the middle of the import, then a cancel in the middle of another: each row is written once."""
    session = importer.session

    def start(name: str, chunks: int) -> int:
        lines = [f"{name},No {n},{name}{n}@example.org,Yoga class,1" for n in range(chunks * jobs.PEOPLE)]
        key = importer.check("first name,last name,email,event type,credits\n" + "\n".join(lines))
        with unit_of_work(session):
            job_id = service.start_import(session, import_id=key, actor=SYSTEM, threshold=0)
        assert job_id is not None
        return job_id

    def written(name: str) -> int:
        session.rollback()
        theirs = select(func.count(Client.id.distinct()), func.count(CreditLot.id)).where(Client.first_name == name)
        people, lots = session.execute(theirs.outerjoin(CreditLot, CreditLot.client_id == Client.id)).one()
        assert people == lots, "everybody has their credits, once"
        return int(people)

    killed = start("Kim", 3)
    with process(database_url, "embedded"):
        wait_for(lambda: job_of(session_factory, killed).done > 0)
    half = job_of(session_factory, killed)
    assert half.state == JobState.running
    assert half.done < 3 * jobs.PEOPLE
    assert written("Kim") == half.done
    wait_for(lambda: run_waiting(session_factory, lease_seconds=LEASE_SECONDS) == 1)
    done = job_of(session_factory, killed)
    assert (done.state, done.done, written("Kim")) == (JobState.done, 3 * jobs.PEOPLE, 3 * jobs.PEOPLE)

    cancelled, chunks = start("Cem", 2), iter(range(9))
    run_job(session_factory, cancelled, lease_seconds=60, stop=lambda: next(chunks) >= 1)
    with unit_of_work(session):
        cancel_job(session, job_id=cancelled, actor=SYSTEM)
    assert run_waiting(session_factory, lease_seconds=60) == 0
    assert written("Cem") == jobs.PEOPLE, "what was written stays, nothing more comes"
    with unit_of_work(session):
        item = session.scalars(select(ClientImport).where(ClientImport.job_id == cancelled)).one()
        with pytest.raises(Conflict):
            service.discard_import(session, import_id=item.id, actor=SYSTEM)
    with unit_of_work(session):
        retry_job(session, job_id=cancelled, actor=SYSTEM)
    run_job(session_factory, cancelled, lease_seconds=60)
    assert written("Cem") == 2 * jobs.PEOPLE
    assert importer.studio.findings() == []
