"""`flask enrollment …`: what it prints, what it writes, and how it ends (0 fine, 1 found something, 2 refused)."""

import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import func, select, text

from enrollment_addon.cli import enrollment
from enrollment_addon.core import install, roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.web.access import permissions_of
from enrollment_addon.credits.models import balances, entries, lots
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.people.models import Client
from tests import factories
from tests.hosts import Command, make_host
from tests.jobs.host import wait_for
from tests.servers import dispose

BAD_ROWS = 10_000
LAST_DAY = dt.date(2099, 12, 31)
HEADER = "client,event_type,quantity,expires_on"


class Desk:
    """A host with a club, two clients and an event type, and its command line."""

    def __init__(self, app: Flask) -> None:
        self.app, self.command = app, Command(app)

    def do(self, work: Callable[[Any], Any]) -> Any:
        """Run something in a unit of work of the host's session."""
        with self.app.app_context(), unit_of_work(self.app.appbuilder.session) as session:  # type: ignore[attr-defined]
            return work(session)

    def furnish(self) -> None:
        def make(session: Any) -> tuple[int, int, int]:
            club = factories.make_club(session)
            ann = factories.make_client(session, club=club, email="ann@example.org")
            bob = factories.make_client(session, club=club, email="bob@example.org")
            return ann.id, bob.id, factories.make_event_type(session, name="Ägypten Yoga").id

        self.ann, self.bob, self.yoga = self.do(make)

    def count(self, table: Any) -> int:
        return int(self.do(lambda session: session.execute(select(func.count()).select_from(table)).scalar()))

    def available(self, client_id: int) -> int:
        query = select(func.coalesce(func.sum(balances.c.available), 0)).where(balances.c.client_id == client_id)
        return int(self.do(lambda session: session.execute(query).scalar()))


@pytest.fixture
def bare(new_database: Callable[..., str]) -> Iterator[Desk]:
    """A host whose database has the framework's tables only."""
    app = make_host(new_database(empty=True))
    yield Desk(app)
    dispose(app)


@pytest.fixture
def desk(new_database: Callable[..., str]) -> Iterator[Desk]:
    app = make_host(new_database(installed=True))
    desk = Desk(app)
    desk.furnish()
    yield desk
    dispose(app)


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, encoding: str = "utf-8") -> Path:
        file = tmp_path / "credits.csv"
        file.write_bytes("\r\n".join(lines).encode(encoding))
        return file

    return write


# ---- init and the tables -----------------------------------------------------------------------------------


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_init_makes_the_tables_and_tells_what_each_role_got(bare: Desk) -> None:
    told = bare.command("init", "--json")
    added = json.loads(told.stdout)["added"]
    assert set(added) == set(roles.ROLES)
    assert added[roles.OWNER] > added[roles.MANAGER] > added[roles.TEAM] > added[roles.CLIENT] == 3
    assert bare.command("db", "current").stdout.strip() == install.head()
    assert bare.command("db", "check").stdout.strip() == "The database and the models agree."


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("command", [["check"], ["run-due"], ["worker"], ["demo"]])
def test_before_init_commands_say_what_to_do(bare: Desk, command: list[str]) -> None:
    assert "Run: flask enrollment init" in bare.command(*command, code=2).stderr


@pytest.mark.databases("sqlite")
def test_the_tables_go_down_and_up_again(bare: Desk) -> None:
    assert bare.command("db", "current").stdout.strip() == "base"
    assert install.head() in bare.command("db", "upgrade").stdout
    for command in (["current"], ["downgrade", "0007"], ["upgrade"]):
        told = json.loads(bare.command("db", *command, "--json").stdout)
        assert told == {"revision": told["revision"], "newest": install.head()}
        assert (told["revision"] == install.head()) == (command != ["downgrade", "0007"])
    assert "at base" in bare.command("db", "downgrade", "base").stdout
    assert "needs" in bare.command("db", "check", code=1).stdout
    assert "0099" in bare.command("db", "upgrade", "0099_unheard_of", code=2).stderr


@pytest.mark.databases("sqlite")
def test_a_database_that_is_away_is_said(bare: Desk) -> None:
    with bare.app.app_context():
        engine = bare.app.extensions["sqlalchemy"].engine
    engine.dispose()
    file = Path(engine.url.database)
    file.unlink()
    file.mkdir()
    for command in (["db", "current"], ["init"], ["run-due"]):
        assert "The database cannot be used now" in bare.command(*command, code=2).stderr
    file.rmdir()
    file.touch()


@pytest.mark.databases("sqlite")
def test_tables_with_data_are_not_removed_by_accident(desk: Desk) -> None:
    refused = desk.command("db", "downgrade", "base", code=2)
    assert "data_would_be_lost" in refused.stderr
    assert "enrollment_client" in refused.stderr
    assert desk.count(Client) == 2


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_a_difference_from_the_models_is_found(new_database: Callable[..., str]) -> None:
    desk = Desk(make_host(new_database()))
    desk.do(lambda session: session.execute(text("ALTER TABLE enrollment_club ADD COLUMN surprise INTEGER")))
    found = json.loads(desk.command("db", "check", "--json", code=1).stdout)["differences"]
    assert found == ["unexpected column surprise on enrollment_club"]
    dispose(desk.app)


@pytest.mark.databases("sqlite")
def test_wrong_use_ends_with_two(desk: Desk) -> None:
    for arguments in (["no-such-command"], ["check", "--no-such-option"], ["demo", "--clients", "0"], ["grant"]):
        assert "Usage:" in desk.command(*arguments, code=2).stderr


@pytest.mark.databases("sqlite")
def test_commands_of_a_module_that_is_off_are_refused(new_database: Callable[..., str], csv_file: Any) -> None:
    app = make_host(new_database(installed=True), ENROLLMENT_MODULES=("people",))
    for arguments in (["check"], ["grant", csv_file(HEADER)], ["demo"]):
        assert "module credits is switched off" in Command(app)(*arguments, code=2).stderr
    dispose(app)


# ---- check -------------------------------------------------------------------------------------------------

TRIGGERS_OFF = {
    "sqlite": "DROP TRIGGER {name}",
    "postgresql": "ALTER TABLE enrollment_credit_entry DISABLE TRIGGER {name}",
    "mysql": "DROP TRIGGER {name}",
}


def forge_an_entry(session: Any) -> None:
    """What only somebody with the database's own tools can do: change the ledger behind the add-on's back."""
    dialect = session.get_bind().dialect.name.replace("mariadb", "mysql")
    for name in entries.info["triggers"][dialect]:
        session.execute(text(TRIGGERS_OFF[dialect].format(name=name)))
    session.execute(entries.update().values(available_change=7))


@pytest.mark.databases("sqlite", "postgresql")
def test_a_forged_entry_is_found_told_and_repaired(desk: Desk) -> None:
    def one_lot(session: Any) -> int:
        ann, yoga = session.get(Client, desk.ann), session.get(factories.EventType, desk.yoga)
        return factories.make_lot(session, ann, yoga, quantity=10).id

    lot_id = desk.do(one_lot)
    assert desk.command("check").stdout.strip() == "The ledger and money are consistent."
    assert desk.command("check", "--json").stdout == ""
    desk.do(forge_an_entry)
    told = desk.command("check", code=1).stdout
    assert f"code lot_differs, lot_id {lot_id}, client_id {desk.ann}" in told
    assert "1 found, 0 repaired." in told
    finding = json.loads(desk.command("check", "--json", code=1).stdout)
    assert (finding["code"], finding["lot_id"], finding["repaired"]) == ("lot_differs", lot_id, False)
    assert "repaired." in desk.command("check", "--repair").stdout
    assert desk.command("check").stdout.strip() == "The ledger and money are consistent."
    assert desk.available(desk.ann) == 7


# ---- grant -------------------------------------------------------------------------------------------------


@pytest.mark.databases("sqlite", "postgresql")
def test_a_file_gives_credits_by_mail_or_key_and_name_or_key(desk: Desk, csv_file: Any) -> None:
    file = csv_file(
        HEADER,
        f"ANN@example.org,ägypten YOGA,4,{LAST_DAY}",
        f"{desk.bob},{desk.yoga},2,",
        "",
        f" bob@example.org , Ägypten Yoga , 4 , {LAST_DAY} ",
    )
    answer = json.loads(desk.command("grant", file, "--json").stdout)
    assert {k: answer[k] for k in ("again", "rows", "credits", "skipped")} == {
        "again": False,
        "rows": 3,
        "credits": 10,
        "skipped": 0,
    }
    assert len(answer["batches"]) == 2, "one batch per event type, number and expiry"
    assert (desk.available(desk.ann), desk.available(desk.bob)) == (4, 6)
    assert desk.command("check").stdout.strip() == "The ledger and money are consistent."


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-8"), (";", "utf-8-sig")]
)
def test_files_as_spreadsheets_write_them(desk: Desk, csv_file: Any, delimiter: str, encoding: str) -> None:
    rows = (HEADER, f'"ann@example.org","Ägypten Yoga",3,{LAST_DAY}')
    desk.command("grant", csv_file(*(row.replace(",", delimiter) for row in rows), encoding=encoding))
    assert desk.available(desk.ann) == 3


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["client,quantity", "ann@example.org,3"], "lacks the columns event_type, expires_on"),
        (["client|event_type|quantity|expires_on"], "Commas, semicolons or tabs separate columns"),
        ([""], "lacks the columns client, event_type, quantity, expires_on"),
        ([HEADER], "has no rows"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused(desk: Desk, csv_file: Any, lines: list[str], told: str) -> None:
    assert told in desk.command("grant", csv_file(*lines), code=2).stderr
    assert desk.count(lots) == 0


@pytest.mark.databases("sqlite")
def test_a_file_that_is_not_text_or_not_there_is_refused(desk: Desk, csv_file: Any, tmp_path: Path) -> None:
    row = "ann@example.org,Ägypten Yoga,3,"
    assert "not UTF-8" in desk.command("grant", csv_file(HEADER, row, encoding="latin-1"), code=2).stderr
    huge = csv_file(HEADER, "x" * 200_000 + ",Yoga,3,")
    assert "not a CSV: field larger than" in desk.command("grant", huge, code=2).stderr
    assert "does not exist" in desk.command("grant", tmp_path / "none.csv", code=2).stderr


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("nobody@example.org,Ägypten Yoga,3,", "There is no client “nobody@example.org”"),
        ("99999999999999999999999,Ägypten Yoga,3,", "There is no client “99999999999999999999999”"),
        (",Ägypten Yoga,3,", "There is no client “”"),
        ("gone@example.org,Ägypten Yoga,3,", "The client “gone@example.org” is archived or erased"),
        ("ann@example.org,Zumba,3,", "There is no active event type “Zumba”"),
        ("ann@example.org,Closed,3,", "There is no active event type “Closed”"),
        ("ann@example.org,Ägypten Yoga,0,", "“0” is not a number of credits"),
        ("ann@example.org,Ägypten Yoga,-1,", "“-1” is not a number of credits"),
        ("ann@example.org,Ägypten Yoga,1001,", "“1001” is not a number of credits"),
        ("ann@example.org,Ägypten Yoga,000000005000,", "“000000005000” is not a number of credits"),
        ("ann@example.org,Ägypten Yoga,three,", "“three” is not a number of credits"),
        ("ann@example.org,Ägypten Yoga,3,31.12.2099", "“31.12.2099” is not a date"),
        ("ann@example.org,Ägypten Yoga,3,2020-01-31", "The expiry 2020-01-31 is in the past"),
        ("ann@example.org,Ägypten Yoga,3,,5", "The line has more cells than the file has columns"),
        ("ann@example.org", "There is no active event type “”"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_written(
    desk: Desk, csv_file: Any, row: str, told: str
) -> None:
    desk.do(lambda session: factories.make_event_type(session, name="Closed", active=False))
    desk.do(lambda session: factories.make_client(session, email="gone@example.org", archived=True))
    refused = desk.command("grant", csv_file(HEADER, "bob@example.org,Ägypten Yoga,3,", row), code=2)
    assert f"line 3: {told}" in refused.stderr
    assert "1 of 2 rows cannot be used; nothing was written." in refused.stderr
    assert desk.count(lots) == 0


@pytest.mark.databases("sqlite")
def test_ten_thousand_bad_rows_are_counted_and_the_first_named(desk: Desk, csv_file: Any) -> None:
    good = "bob@example.org,Ägypten Yoga,3,"
    file = csv_file(HEADER, good, *(f"nobody{n}@example.org,Ägypten Yoga,3," for n in range(BAD_ROWS)))
    told = desk.command("grant", file, code=2).stderr.splitlines()
    assert told[0] == "line 3: There is no client “nobody0@example.org”."
    assert told[-2] == f"… and {BAD_ROWS - 100} more"
    assert told[-1] == f"{BAD_ROWS} of {BAD_ROWS + 1} rows cannot be used; nothing was written."
    assert len(told) == 102
    assert desk.count(lots) == 0


@pytest.mark.databases("sqlite")
def test_a_long_file_takes_little_memory(desk: Desk, csv_file: Any) -> None:
    from enrollment_addon.credits.grant_file import read_file

    rows = 50_000
    file = csv_file(HEADER, *([f"ann@example.org,Ägypten Yoga,1,{LAST_DAY}"] * rows))

    def read(session: Any) -> int:
        tracemalloc.start()
        asked = read_file(session, file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert asked.rows == rows
        return peak

    assert desk.do(read) < 40 * rows, "bytes a row"


@pytest.mark.databases("sqlite", "postgresql")
def test_the_same_file_a_second_time_gives_nothing(desk: Desk, csv_file: Any) -> None:
    file = csv_file(HEADER, f"ann@example.org,Ägypten Yoga,3,{LAST_DAY}")
    assert "1 rows gave 3 credits" in desk.command("grant", file).stdout
    again = desk.command("grant", file).stdout
    assert again.startswith("This file was granted before; nothing was added.")
    assert json.loads(desk.command("grant", file, "--json").stdout)["again"] is True
    assert desk.available(desk.ann) == 3


@pytest.mark.databases("sqlite")
def test_a_client_named_twice_gets_both(desk: Desk, csv_file: Any) -> None:
    row = "ann@example.org,Ägypten Yoga,3,"
    desk.command("grant", csv_file(HEADER, row, "bob@example.org,Ägypten Yoga,3,", row))
    assert (desk.available(desk.ann), desk.available(desk.bob)) == (6, 3)


@pytest.mark.databases("sqlite")
def test_a_dry_run_writes_nothing(desk: Desk, csv_file: Any) -> None:
    file = csv_file(HEADER, "ann@example.org,Ägypten Yoga,3,")
    assert "1 rows would give 3 credits" in desk.command("grant", file, "--dry-run").stdout
    assert json.loads(desk.command("grant", file, "--dry-run", "--json").stdout) == {
        "rows": 1, "credits": 3, "again": False,
    }
    assert desk.count(lots) == 0
    assert "1 rows gave 3 credits" in desk.command("grant", file).stdout
    assert "granted before; nothing would be added" in desk.command("grant", file, "--dry-run").stdout


# ---- demo, run-due, worker ---------------------------------------------------------------------------------


@pytest.mark.databases("sqlite")
def test_demo_fills_an_empty_installation_once(new_database: Callable[..., str]) -> None:
    app = make_host(new_database(installed=True))
    desk = Desk(app)
    told = desk.command("demo", "--clients", 30, "--if-empty").stdout
    assert "owner" in told
    assert "password" in told
    assert desk.count(Client) == 30
    assert "clients already" in desk.command("demo", "--clients", 30, code=2).stderr
    assert desk.command("demo", "--clients", 30, "--if-empty").stdout == told
    assert desk.count(Client) == 30
    assert desk.command("check").stdout.strip() == "The ledger and money are consistent."
    with app.app_context():
        member = app.appbuilder.sm.find_user(username="team1")  # type: ignore[attr-defined]
        assert ("can_userinfo", "UserDBModelView") in permissions_of(member), "the menu's “Profile” opens"
    dispose(app)


DUE = 4
"""What every night brings: expiry of credits, the schedule's horizon, pauses of enrollments, old exports deleted."""


def on_a_terminal(desk: Desk, *arguments: str) -> str:
    """What a command says on standard error where that is a terminal."""
    ours, its = os.openpty()
    quiet = redirect_stdout(io.StringIO())
    with os.fdopen(its, "w") as terminal, redirect_stderr(terminal), quiet, suppress(SystemExit):
        enrollment.main([*arguments], obj=ScriptInfo(create_app=lambda: desk.app))
    said = b""
    with os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):  # which is how a terminal says it is all
        while piece := screen.read(100_000):
            said += piece
    return said.decode()


@pytest.mark.databases("sqlite")
def test_long_commands_say_on_a_terminal_how_far_they_are(desk: Desk) -> None:
    def lapsed_lots(session: Any) -> None:
        ann, yoga = session.get(Client, desk.ann), session.get(factories.EventType, desk.yoga)
        for _ in range(3):
            factories.make_lot(session, ann, yoga, quantity=5, expires_on=dt.date(2020, 1, 31))

    desk.do(lapsed_lots)
    assert "credits.expire: 3 of 3" in on_a_terminal(desk, "run-due")
    proved = on_a_terminal(desk, "check")
    assert [told for told in ("Credits: 50%", "Credits: 100%", "Money: 100%") if told not in proved] == []
    assert proved.endswith("\r\x1b[K"), "nothing is left on the line"


@pytest.mark.databases("sqlite", "postgresql")
def test_run_due_expires_what_is_past_its_day(desk: Desk) -> None:
    def two_lots(session: Any) -> None:
        ann, yoga = session.get(Client, desk.ann), session.get(factories.EventType, desk.yoga)
        factories.make_lot(session, ann, yoga, quantity=5, expires_on=dt.date(2020, 1, 31))
        factories.make_lot(session, ann, yoga, quantity=2, expires_on=LAST_DAY)

    desk.do(two_lots)
    assert desk.command("run-due").stdout.strip() == f"{DUE} jobs queued, 0 sent again, {DUE} jobs run."
    assert desk.available(desk.ann) == 2
    assert json.loads(desk.command("run-due", "--json").stdout) == {"queued": DUE, "sent": 0, "ran": DUE}
    assert desk.available(desk.ann) == 2
    assert desk.command("check").stdout.strip() == "The ledger and money are consistent."


@pytest.mark.databases("sqlite")
def test_run_due_often_does_what_cannot_wait_for_the_night_where_there_is_something(desk: Desk) -> None:
    def a_place_nobody_confirmed(session: Any) -> Any:
        ann, yoga = session.get(Client, desk.ann), session.get(factories.EventType, desk.yoga)
        item = factories.make_session(session, ann.club, yoga)
        return factories.make_booking(
            session, item, factories.make_participant(session, ann), state="waitlisted", held_until=item.starts_at
        ).id

    assert json.loads(desk.command("run-due", "--often", "--json").stdout) == {"queued": 0, "sent": 0, "ran": 0}
    booking = desk.do(a_place_nobody_confirmed)
    assert json.loads(desk.command("run-due", "--often", "--json").stdout) == {"queued": 1, "sent": 0, "ran": 1}
    assert desk.do(lambda session: session.get(factories.Booking, booking).state) == "cancelled"
    assert json.loads(desk.command("run-due", "--often", "--json").stdout) == {"queued": 0, "sent": 0, "ran": 0}


@pytest.mark.databases("sqlite")
def test_celery_beat_queues_every_night_what_run_due_would(new_database: Callable[..., str]) -> None:
    app = make_host(new_database(installed=True), ENROLLMENT_BROKER_URL="memory://")
    celery = app.extensions["enrollment"].dispatcher.celery
    (task,) = [entry["task"] for name, entry in celery.conf.beat_schedule.items() if "due" in name]
    waiting = select(Job.kind).where(Job.state == JobState.queued)
    for _night in range(2):
        celery.tasks[task]()
        kinds = Desk(app).do(lambda session: list(session.scalars(waiting)))
        assert len(kinds) == DUE == len(set(kinds)), "one of a kind that waits is enough"
        assert "credits.expire" in kinds
    celery.tasks["enrollment.often"]()
    assert Desk(app).count(Job) == DUE, "there is no queue to serve"
    told = [json.loads(Desk(app).command("run-due", "--json").stdout) for _time in range(2)]
    assert [(t["queued"], t["sent"]) for t in told] == [(0, DUE), (0, 0)], "what no worker took is sent again"
    dispose(app)


@pytest.mark.databases("sqlite")
def test_a_worker_does_what_waits_and_stops_when_told(desk: Desk) -> None:
    from enrollment_addon.core.scope import SYSTEM
    from enrollment_addon.jobs.service import queue_job

    url = desk.app.config["SQLALCHEMY_DATABASE_URI"]
    job_id = desk.do(lambda session: queue_job(session, kind="credits.expire", input={"chunk": 10}, actor=SYSTEM).id)
    worker = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "enrollment_addon.demo", "enrollment", "worker"],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
    )
    try:
        state = select(Job.state).where(Job.id == job_id)
        wait_for(lambda: desk.do(lambda session: session.scalar(state)) == JobState.done, seconds=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
