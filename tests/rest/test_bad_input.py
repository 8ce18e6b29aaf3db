"""Whatever is sent, the answer is one of the described refusals, in one shape; nothing is stored, nothing breaks."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.rest.conftest import Caller, Endpoint, Town, refusal, wrong_fields

pytestmark = pytest.mark.databases("sqlite")


def writing(endpoints: list[Endpoint]) -> list[Endpoint]:
    """The endpoints that take a body."""
    found = [e for e in endpoints if e.operation.body is not None]
    assert len(found) >= 15
    return found


def at(endpoint: Endpoint, town: Town) -> str:
    """Its path, about something that is there."""
    key = town.ann.key_for(endpoint.path)
    return endpoint.at(key or 1)


@pytest.fixture
def unchanged(owner: Caller, town: Town) -> Callable[[], bool]:
    """Whether everything is still as it was."""

    def facts() -> list[Any]:
        kinds = ("clubs", "clients", "participants", "households", "team_members", "event_types", "lots", "batches")
        return [owner.get(f"/{kind}/").get_json() for kind in kinds]

    before = facts()
    return lambda: facts() == before


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "no JSON": (b"{first_name: Ann", "application/json"),
    "half a JSON": (b'{"first_name": ', "application/json"),
    "a list": (b"[]", "application/json"),
    "a text": (b'"hello"', "application/json"),
    "null": (b"null", "application/json"),
    "bytes": (b"\xff\xfe\x00\x01", "application/json"),
    "latin-1": ('{"name": "Zoë"}'.encode("latin-1"), "application/json"),
    "a form": (b"first_name=Ann&last_name=Archer", "application/x-www-form-urlencoded"),
    "plain text": (b'{"first_name": "Ann"}', "text/plain"),
    "XML": (b"<client/>", "application/xml"),
    "no content type": (b'{"first_name": "Ann"}', ""),
    "a pit": (b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json"),
    "a shallow pit": (b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}", "application/json"),
    "a number without end": (b'{"name": ' + b"9" * 10_000 + b"}", "application/json"),
}


def test_a_body_that_cannot_be_read_is_refused(
    owner: Caller, endpoints: list[Endpoint], town: Town, unchanged: Callable[[], bool]
) -> None:
    for endpoint in writing(endpoints):
        for what, (data, kind) in BODIES.items():
            answer = owner(endpoint.method, at(endpoint, town), data=data, content_type=kind)
            assert refusal(answer) == (422, "invalid_input"), (endpoint.name, what)
    assert unchanged()


def test_unknown_fields_are_refused_by_name(
    owner: Caller, endpoints: list[Endpoint], town: Town, unchanged: Callable[[], bool]
) -> None:
    for endpoint in writing(endpoints):
        answer = owner(endpoint.method, at(endpoint, town), {"id": 5, "is_admin": True, "": 1})
        assert {"id", "is_admin", ""} <= wrong_fields(answer), endpoint.name
    assert unchanged()


def values_for(schema: dict[str, Any]) -> list[Any]:
    """What doesn't fit a field of this type."""
    wrong: dict[str, list[Any]] = {
        "string": [5, 1.5, True, [], {}, ["x"], "a\x00b", "\ud800", "x" * 100_000],
        "integer": ["x", "", 1.5, True, [], {}, -1, 0, 2**63, -(2**63) - 1, 10**30],
        "boolean": ["yes", "true", 1, 0, "", [], {}, 2],
        "array": ["x", 5, {}, True, {"0": 1}],
        "object": ["x", 5, [], True],
    }
    return [*wrong[schema["type"]], *([] if schema.get("nullable") else [None])]


def test_values_of_a_wrong_type_or_size_are_refused_by_field(
    app: Flask, owner: Caller, endpoints: list[Endpoint], town: Town, unchanged: Callable[[], bool]
) -> None:
    described = owner.get("/_openapi").get_json()["components"]["schemas"]
    tried = 0
    for endpoint in writing(endpoints):
        schema = described[f"Enrollment{endpoint.operation.body.__name__}"]  # type: ignore[union-attr]
        for name, kind in schema["properties"].items():
            if "type" not in kind:
                continue
            for value in values_for(kind):
                # A lone surrogate is not UTF-8, but JSON can write it.
                data = json.dumps({**schema_example(endpoint), name: value})
                answer = owner(endpoint.method, at(endpoint, town), data=data, content_type="application/json")
                status, _code = refusal(answer)
                assert status in (404, 409, 422), (endpoint.name, name, value)
                if status == 422 and value not in ("a\x00b", "\ud800"):
                    assert answer.get_json()["error"]["params"]["fields"], (endpoint.name, name, value)
                tried += 1
    assert tried > 300
    assert unchanged()


def schema_example(endpoint: Endpoint) -> dict[str, Any]:
    """The documented body, pointing to nothing that is there, so that no attempt can succeed by its other fields."""
    example = dict(endpoint.operation.body.example)  # type: ignore[union-attr]
    return {k: 4_711 if k.endswith("_id") else v for k, v in example.items()}


KEYS = ("0", "-1", "x", "1.0", "1e3", "²", "١", "1%00", "9" * 18, "9" * 19, "9" * 400, "%20", "null", "1;x")


def test_a_key_that_cannot_be_one_is_not_found(owner: Caller, endpoints: list[Endpoint], town: Town) -> None:
    keyed = [e for e in endpoints if "<pk>" in e.path]
    for endpoint in keyed:
        for key in KEYS:
            body = {} if endpoint.method in ("POST", "PUT") else None
            answer = owner(endpoint.method, endpoint.path.replace("<pk>", key), body)
            if answer.status_code == 422 and endpoint.operation.body:
                continue
            assert refusal(answer) == (404, "not_found"), (endpoint.name, key)


NONSENSE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("/clients/", {"email": "no address"}, "email"),
    ("/clients/", {"email": "a@b.c" + "x" * 300}, "email"),
    ("/clients/", {"phone": "call me"}, "phone"),
    ("/clients/", {"birth_date": "2999-01-01"}, "birth_date"),
    ("/clients/", {"birth_date": "0001-01-01"}, "birth_date"),
    ("/clients/", {"locale": "xx_YY_ZZ"}, "locale"),
    ("/clients/", {"locale": "de@" + "x" * 13}, "locale"),
    ("/clients/", {"first_name": "   "}, "first_name"),
    ("/clients/", {"first_name": "x" * 81}, "first_name"),
    ("/clients/", {"first_name": "line\nbreak"}, "first_name"),
    ("/clients/", {"relationship_to_head": "boss"}, "relationship_to_head"),
    ("/clients/", {"tags": ["x" * 41]}, "tags"),
    ("/clients/", {"tags": [None]}, "tags"),
    ("/clients/", {"tags": [f"t{n}" for n in range(21)]}, "tags"),
    ("/clubs/", {"timezone": "Mars/Base"}, "timezone"),
    ("/clubs/", {"timezone": "../../etc/passwd"}, "timezone"),
    ("/clubs/", {"currency": "Euro"}, "currency"),
    ("/event_types/", {"kind": "party"}, "kind"),
    ("/event_types/", {"duration_minutes": 1441}, "duration_minutes"),
    ("/event_types/", {"colour": "red"}, "colour"),
    ("/event_types/", {"translations": {"kind": {"de": "x"}}}, "translations"),
    ("/event_types/", {"translations": {"name": {"klingon": "x"}}}, "translations"),
    ("/event_types/", {"translations": {"name": {"de": "x" * 121}}}, "translations"),
    ("/event_types/", {"translations": {"name": "x"}}, "translations"),
    ("/participants/", {"kind": "robot"}, "kind"),
    ("/participants/", {"kind": "child", "species": "dog"}, "species"),
    ("/team_members/", {"scope": "the world"}, "scope"),
    ("/team_members/", {"scope": "own_clubs", "club_ids": []}, "club_ids"),
)


def test_values_that_make_no_sense_are_refused_by_field(owner: Caller, town: Town, make_user: Any) -> None:
    good: dict[str, dict[str, Any]] = {
        "/clients/": {"first_name": "A", "last_name": "B", "club_id": town.north},
        "/clubs/": {"name": "West"},
        "/event_types/": {"name": "Boxing"},
        "/participants/": {"client_id": town.ann.client, "name": "Kim", "kind": "pet"},
        "/team_members/": {"user_id": make_user("tom", []), "name": "Tom"},
    }
    for path, body, field in NONSENSE:
        assert wrong_fields(owner.post(path, {**good[path], **body})) == {field}, (path, body)
    for path, body in good.items():
        owner.made(path, body)


def test_what_the_server_itself_refuses_has_the_same_shape(app: Flask, owner: Caller) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1_000
    answer = owner.post("/clubs/", {"name": "x" * 2_000})
    assert refusal(answer) == (413, "request_entity_too_large")


def test_a_failure_of_the_server_tells_nothing_and_is_not_a_page(app: Flask, owner: Caller) -> None:
    """The ledger's table is gone: what happened is in the log, not in the answer."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        session.execute(text("ALTER TABLE enrollment_credit_lot RENAME TO somewhere_else"))
        session.commit()
    answer = owner.get("/lots/")
    assert refusal(answer) == (500, "internal_server_error")
    assert "enrollment_credit_lot" not in answer.text
