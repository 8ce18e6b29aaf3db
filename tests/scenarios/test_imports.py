"""The import wizard over HTTP, and the same file from the command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from enrollment_addon.cli import enrollment
from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances

FILE = (
    "First name;Surname;Mail address;Service;Credits;Valid until\r\n"
    "Ida;Öz;ida@example.org;Yoga class;5;\r\n"
    "Jo;Li;jo@example.org;Judo;2;\r\n"
    '"=1+1";Lee;lee@example.org;Yoga class;3;2020-01-01\r\n'
).encode("cp1252")


def send(http: FlaskClient, content: bytes, name: str = "clients.csv") -> Any:
    page = http.get("/enrollment/imports/add").text
    return http.post(
        "/enrollment/imports/add", data={"csrf_token": csrf_token(page), "file": (io.BytesIO(content), name)}
    )


def choose(http: FlaskClient, url: str, **over: Any) -> Any:
    page = http.get(url).text
    columns = {"first_name": "0", "last_name": "1", "email": "2", "event_type": "3", "quantity": "4", "expires_on": "5"}
    read = {"dates": "ymd", "decimal": ".", "club_id": "1", **columns, **over}
    return http.post(url, data={"csrf_token": csrf_token(page), **read})


def test_from_upload_to_error_file(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    """Ana uploads a file, names a column, sees what would happen, imports, and gets the refused rows back."""
    imports, first_step = "/enrollment/imports/list/", 'href="/enrollment/imports/add"'
    assert ana.get(imports).text.count(first_step) == 1, "offered once while there is nothing else"
    uploaded = send(ana, FILE)
    assert ana.get(imports).text.count(first_step) == 1, "and above the rows"
    page = ana.get(uploaded.location).text
    assert "Ida" in page
    assert page.count(" selected ") >= 5, "columns are recognized by their names"
    wrong = choose(ana, uploaded.location, club_id="", first_name="", email="1", dates="dmy")
    assert wrong.status_code == 422
    assert "chosen twice" in wrong.text
    assert "A client needs this column." in wrong.text
    assert "Choose the club of the clients" in wrong.text
    assert '<option selected value="dmy">' in wrong.text, "what was chosen stays"

    checked = choose(ana, uploaded.location, club_id=str(studio.uptown))
    shown = ana.get(checked.location).text
    assert "1 to be created" in shown
    assert "There is no active event type “Judo”." in shown
    assert balances(app) == {}, "nothing is written yet"

    key = checked.location.rsplit("/", 1)[-1]
    for _click in range(2):
        started = ana.post(f"/enrollment/imports/start/{key}", data={"csrf_token": csrf_token(shown)})
        assert started.location == checked.location
    assert list(balances(app).values()) == [5]
    result = ana.get(f"{checked.location}?outcome=create").text
    assert "Ida Öz" in result
    assert "Judo" not in result
    refused = ana.get(f"/enrollment/imports/refused/{key}").text
    assert refused.splitlines()[1:] == [
        "Jo,Li,jo@example.org,Judo,2,,3,There is no active event type “Judo”.",
        "'=1+1,Lee,lee@example.org,Yoga class,3,2020-01-01,4,The expiry 2020-01-01 is in the past.",
    ]

    again = choose(ana, send(ana, FILE).location, club_id=str(studio.uptown))
    assert "A file with the same content was imported" in ana.get(again.location).text

    lower = choose(ana, send(ana, FILE.replace(b"class;5", b"class;3")).location, club_id=str(studio.uptown))
    shown = ana.get(lower.location).text
    url = lower.location.replace("show", "start")
    assert "An import is not undone as a whole." in ana.get(
        ana.post(url, data={"csrf_token": csrf_token(shown)}).location
    ).text
    assert list(balances(app).values()) == [3]
    batch = ana.get("/enrollment/batches/show/1").text
    assert "An import took these credits back" in batch
    assert "/enrollment/batches/undo/1" not in batch
    assert "import the row as it should be" in ana.get(ana.get("/enrollment/batches/undo/1").location).text
    assert_ledger_is_consistent(app)


@pytest.mark.databases("sqlite")
def test_a_large_file_goes_through_jobs_and_bad_ones_are_refused(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    lines = "".join(f"F{n},L{n},n{n}@example.org,,,\r\n" for n in range(501))
    location = send(ana, b"first name,last name,email,a,b,c\r\n" + lines.encode()).location
    queued = choose(ana, location, club_id=str(studio.uptown), event_type="", quantity="", expires_on="")
    assert "/enrollment/jobs/show/" in queued.location
    assert "“Being checked”" in choose(ana, location, club_id=str(studio.uptown), event_type="", quantity="").text
    for content, told in ((b"a|b\n1|2\n", "one column only"), (b"%PDF", "neither a CSV nor")):
        answer = send(ana, content)
        assert answer.status_code == 422
        assert told in answer.text


@pytest.mark.databases("sqlite")
def test_without_the_permission_there_is_no_way_in(ana: FlaskClient, jonas: FlaskClient, studio: Studio) -> None:
    """Jonas may not import, and Ana's files are not his to see."""
    key = send(ana, FILE).location.rsplit("/", 1)[-1]
    for url in ("list/", "add", f"columns/{key}", f"show/{key}", f"refused/{key}"):
        assert jonas.get(f"/enrollment/imports/{url}").status_code == 403
    token = csrf_token(jonas.get("/enrollment/clients/list/").text)
    for url in (f"start/{key}", f"discard/{key}", "add"):
        assert jonas.post(f"/enrollment/imports/{url}", data={"csrf_token": token}).status_code == 403
    page = ana.get(f"/enrollment/imports/show/{key}").text
    assert ana.post(f"/enrollment/imports/discard/{key}", data={"csrf_token": csrf_token(page)}).status_code == 302
    assert ana.get(f"/enrollment/imports/show/{key}").status_code == 404


def test_import_and_export_on_the_command_line(app: Flask, studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_bytes(FILE)
    runner = app.test_cli_runner()

    def run(*arguments: str) -> Any:
        return runner.invoke(enrollment, list(arguments))

    told = ("import-clients", str(file), "--map", "email=Mail address", "--club", "Uptown", "--json")
    dry = run(*told, "--dry-run")
    assert dry.exit_code == 1, dry.output
    assert json.loads(dry.stdout)["create"] == 1
    assert "row 3: There is no active event type “Judo”." in dry.stderr
    assert balances(app) == {}
    told_once = json.loads(run(*told).stdout)
    assert told_once.pop("import_id")
    assert told_once == {"dry_run": False, "create": 1, "update": 0, "unchanged": 0, "refused": 2}
    assert json.loads(run(*told).stdout)["unchanged"] == 1
    assert list(balances(app).values()) == [5]
    for wrong in (("--map", "mail=Mail address"), ("--map", "email=Mail"), ("--club", "Nowhere")):
        assert run("import-clients", str(file), *wrong).exit_code == 2
    good = tmp_path / "good.csv"
    good.write_text("first name,last name,club\nAnn,Bo,uptown\n")
    assert run("import-clients", str(good)).exit_code == 0

    target = tmp_path / "lots.csv"
    assert json.loads(run("export", "lots", str(target), "--json").stdout)["rows"] == 1
    assert "Yoga class" in target.read_text("utf-8-sig")
    assert run("export", "clients", str(tmp_path / "c.xlsx"), "--query", "search=ida").exit_code == 0
    assert run("export", "nothing", str(target)).exit_code == 2

    before = target.read_bytes()
    full = tmp_path / "lots.csv.part"
    full.symlink_to("/dev/full")
    for place in (target, tmp_path / "no such folder" / "lots.csv"):
        refused = run("export", "lots", str(place))
        assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True), refused.output
    assert target.read_bytes() == before, "a full disk leaves the old file as it was"
    assert not full.is_symlink()
