"""What one client's data looks like when they ask for it."""

import csv
import datetime as dt
import io
import json
import zipfile

from sqlalchemy.orm import Session

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.people import service
from tests import factories

from .conftest import Place


def test_everything_about_a_client_and_nothing_about_others(session: Session, place: Place) -> None:
    twin = factories.make_client(session, club=place.south, first_name="Annie", last_name="Old")
    service.update_client(
        session, id=place.ann.id, actor=SYSTEM, birth_date=dt.date(1980, 1, 2), tags=["vip"]
    )
    yoga = factories.make_event_type(session)
    for client in (place.ann, twin, place.bob):
        factories.make_lot(session, client, yoga, note=f"lot of {client.first_name}")
        factories.make_participant(session, client, name=f"child of {client.first_name}")
    factories.make_household(session, place.ann, place.bob, name="Home of Ann")
    session.commit()
    with unit_of_work(session):
        service.merge_clients(
            session, source_id=twin.id, target_id=place.ann.id, reason="same person", actor=SYSTEM
        )
    sections = service.export_client_data(session, client_id=place.ann.id, actor=SYSTEM)
    assert {
        "client", "participants", "household", "history", "credit_lots", "credit_entries", "credit_balances",
    } <= set(sections)
    assert [row["first_name"] for row in sections["client"]] == ["Ann", "Annie"]
    assert sections["client"][0]["birth_date"] == "1980-01-02"
    assert {row["name"] for row in sections["participants"]} == {"child of Ann", "child of Annie"}
    assert {row["note"] for row in sections["credit_lots"]} == {"lot of Ann", "lot of Annie"}
    assert [row["name"] for row in sections["household"]] == ["Home of Ann"]
    assert "Bob" not in json.dumps(sections)


def test_the_archive_opens_in_a_spreadsheet_without_running_anything() -> None:
    target = io.BytesIO()
    rows = [
        {"name": "=HYPERLINK(\"http://evil\")", "change": -2, "tags": ["a", "b"]},
        {"name": "Zoë", "change": None, "more": "+1"},
    ]
    service.write_archive(target, {"client": rows, "lots": []})
    with zipfile.ZipFile(io.BytesIO(target.getvalue())) as archive:
        assert archive.namelist() == ["client.json", "client.csv", "lots.json", "lots.csv"]
        assert json.loads(archive.read("client.json")) == rows
        raw = archive.read("client.csv")
        assert raw.startswith(b"\xef\xbb\xbf"), "spreadsheets read it as UTF-8"
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    assert lines == [
        ["name", "change", "tags", "more"],
        ["'=HYPERLINK(\"http://evil\")", "-2", '["a", "b"]', ""],
        ["Zoë", "", "", "'+1"],
    ]
