"""The language of answers: by the parameter `_l_`, or the one a browser's person chose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask
from flask.testing import FlaskClient

from tests.rest.conftest import BASE, Caller, Town, wrong_fields

pytestmark = pytest.mark.databases("sqlite")

WORDS = {
    "This record was not found.": "Diesen Datensatz gibt es nicht.",
    "There is no filter “%(filter)s” with “%(operator)s” here.": "Kein Filter „%(filter)s“ mit „%(operator)s“.",
    "Unknown field.": "Unbekanntes Feld.",
    "This must be a whole number from %(low)s to %(high)s.": "Bitte eine ganze Zahl von %(low)s bis %(high)s.",
}


@pytest.fixture
def german(app: Flask, tmp_path: Path) -> None:
    """A catalog with a few words of its own, so that this does not depend on how others were translated."""
    catalog = Catalog(locale="de")
    for word, translation in WORDS.items():
        catalog.add(word, translation)
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalog)
    app.extensions["babel"].translation_directories.append(str(tmp_path))


def test_a_caller_names_the_language(owner: Caller, town: Town, german: None) -> None:
    def message(answer: Any) -> str:
        return str(answer.get_json()["error"]["message"])

    assert message(owner.get("/clients/4711")) == "This record was not found."
    assert message(owner.get("/clients/4711", _l_="de")) == "Diesen Datensatz gibt es nicht."
    assert message(owner.get("/clients/4711", _l_="tlh")) == "This record was not found."
    refused = owner.get("/clients/", _l_="de", q="(filters:!((col:salary,opr:eq,value:1)))")
    assert message(refused) == "Kein Filter „salary“ mit „eq“."
    fields = owner.post("/credits/grant", {"colour": 1}, _l_="de").get_json()["error"]["params"]["fields"]
    assert fields["colour"] == "Unbekanntes Feld."
    grant = {"client_ids": [town.ann.client], "event_type_id": town.yoga, "quantity": 0}
    fields = owner.post("/credits/grant", grant, _l_="de").get_json()["error"]["params"]["fields"]
    assert fields == {"quantity": "Bitte eine ganze Zahl von 1 bis 1000."}


def test_a_browser_keeps_the_language_its_person_chose(
    http: FlaskClient, login: Callable[..., FlaskClient], owner: Caller, german: None
) -> None:
    login(http, "olga")
    assert http.get("/lang/de").status_code == 302
    answer = http.get(f"{BASE}/clients/4711").get_json()
    assert answer["error"]["message"] == "Diesen Datensatz gibt es nicht."
    english = http.get(f"{BASE}/clients/4711?_l_=en").get_json()
    assert english["error"]["message"] == "This record was not found."


def test_names_come_in_the_readers_language_and_stay_as_they_were_typed(owner: Caller, town: Town) -> None:
    names = {"de": "Schwimmen", "es": "Natación"}
    days = {"first_date": "2026-02-01", "last_date": "2026-06-30"}
    slot = {"weekday": 0, "starts_at_time": "17:00", "duration_minutes": 60}
    package = {"event_type_id": town.yoga, "sessions": 10, "price": "100.00", "currency": "EUR"}
    group = {"club_id": town.north, "event_type_id": town.yoga, **slot}
    for kind, more in (
        ("event_types", {}), ("packages", package), ("class_categories", {}), ("activity_levels", {"rank": 1}),
        ("semesters", days), ("class_groups", group),
    ):
        made = owner.made(f"/{kind}/", {"name": "Swimming", "translations": {"name": names}, **more})
        path = f"/{kind}/{made['id']}"
        assert made["translations"] == {"name": names}, kind
        for language, label in (("de", "Schwimmen"), ("es", "Natación"), ("fr", "Swimming"), ("en", "Swimming")):
            found = owner.result(path, _l_=language)
            assert (found["name"], found["label"], found["translations"]) == ("Swimming", label, {"name": names}), kind
            listed = {t["id"]: t for t in owner.get(f"/{kind}/", _l_=language).get_json()["result"]}
            assert listed[made["id"]] == found, kind
        put = owner.put(path, {"translations": {"name": {"de": ""}}})
        assert put.get_json()["result"]["translations"] == {"name": {"es": "Natación"}}, kind
        assert owner.result(path, _l_="de")["label"] == "Swimming"
        assert "translations" in wrong_fields(owner.put(path, {"translations": {"colour": {"de": "rot"}}})), kind
    theirs = f"(filters:!((col:class_group_id,opr:eq,value:{made['id']})))"
    [lesson, *_more] = owner.get("/sessions/", _l_="es", q=theirs).get_json()["result"]
    assert lesson["name"] == "Natación", "sessions are called as their group"
    assert owner.delete(f"/class_groups/{lesson['class_group_id']}").status_code == 200
