"""The description others build on: valid, complete, with examples that hold, and true of what the endpoints do."""

import copy
from collections import Counter
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from enrollment_addon.people.models import ReachChoice
from tests import factories
from tests.conftest import PASSWORD
from tests.rest.conftest import BASE, Caller, Endpoint, Town

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def described(nobody: Caller) -> dict[str, Any]:
    answer = nobody.get("/_openapi")
    assert answer.status_code == 200, "it is read before one logs in"
    body: dict[str, Any] = answer.get_json()
    return body


def test_the_description_is_valid_and_names_every_endpoint(
    described: dict[str, Any], endpoints: list[Endpoint]
) -> None:
    validate(described)  # type: ignore[arg-type]
    found = {
        (method.upper(), path.removeprefix(BASE).replace("{pk}", "<pk>"))
        for path, operations in described["paths"].items()
        for method in operations
    }
    assert found == {(e.method, e.path) for e in endpoints}
    identifiers = [o["operationId"] for operations in described["paths"].values() for o in operations.values()]
    assert len(identifiers) == len(set(identifiers))


def resolved(described: dict[str, Any], schema: Any) -> Any:
    """The schema with its references filled in."""
    if isinstance(schema, list):
        return [resolved(described, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(described, described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    return {name: resolved(described, item) for name, item in schema.items()}


def test_every_example_is_what_its_schema_says(described: dict[str, Any]) -> None:
    checked = 0
    for operations in described["paths"].values():
        for operation in operations.values():
            contents = [operation["requestBody"]["content"]] if "requestBody" in operation else []
            contents += [r["content"] for status, r in operation["responses"].items() if status.startswith("2")]
            for content in contents:
                if "application/json" not in content:
                    continue  # a file
                body = content["application/json"]
                if body["schema"] == {"type": "object"}:
                    continue
                OAS30Validator(resolved(described, body["schema"])).validate(body["example"])
                checked += 1
    assert checked > 50


def test_a_documented_request_works_as_it_is_written(
    described: dict[str, Any], owner: Caller, town: Town
) -> None:
    """With keys that exist here, the example of a client and of a grant are accepted."""
    for path, keys in (
        ("/clients", {"club_id": town.north}),
        ("/participants", {"client_id": town.ann.client}),
        ("/event_types", {"name": "Boxing"}),
        ("/clubs", {}),
        ("/credits/grant", {"client_ids": [town.ann.client], "event_type_id": town.yoga}),
    ):
        body = described["paths"][f"{BASE}{path}"]["post"]["requestBody"]["content"]["application/json"]["example"]
        answer = owner.post(path, {**copy.deepcopy(body), **keys})
        assert answer.status_code == 201, answer.text


def test_the_frameworks_own_description_has_us_in_it(
    app: Flask, endpoints: list[Endpoint], make_user: Any, log_in: Any
) -> None:
    make_user("ada", ["Admin"])
    token = log_in("ada").headers
    described = app.test_client().get("/api/v1/_openapi", headers=token).get_json()
    validate(described)
    paths = {path.rstrip("/") for path in described["paths"]}
    assert {f"{BASE}{e.path}".replace("<pk>", "{pk}") for e in endpoints} <= paths
    assert "/api/v1/security/login" in paths


# ---- fuzzing -----------------------------------------------------------------------------------------------

EXAMPLES = 6
CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection,
)
"""No 500, no status that is not described, no answer that does not fit its schema, no junk that is accepted."""

@pytest.fixture
def fuzzed_schema(app: Flask, town: Town, make_user: Any, sessions: Any) -> Any:
    """The description of an application with something in it."""
    user_id = make_user("olga", ["Enrollment Owner"])
    with sessions() as session:
        # Whoever sees everything as a team member can't lose it to a request that makes them somebody's client.
        factories.make_team_member(session, user_id=user_id, scope=ReachChoice.everything)
    login = {"username": "olga", "password": PASSWORD, "provider": "db"}
    token = app.test_client().post("/api/v1/security/login", json=login).get_json()["access_token"]
    schema = schemathesis.openapi.from_wsgi(f"{BASE}/_openapi", app)
    schema.config.update(headers={"Authorization": f"Bearer {token}"})
    return schema


def test_fuzzing_finds_nothing(fuzzed_schema: Any) -> None:
    """Requests that fit the description and requests that don't, in turn, for every operation."""
    operations = [found.ok() for found in fuzzed_schema.get_all_operations()]
    assert len(operations) > 40
    statuses: Counter[int] = Counter()
    for operation in operations:
        for mode in GenerationMode:
            fuzz(operation, mode, statuses)
    assert not {401, 403} & set(statuses), "the caller was let in everywhere"
    assert statuses[200] > 60 < statuses[422], "there was much to read, and much to refuse"


def fuzz(operation: Any, mode: GenerationMode, statuses: Counter[int]) -> None:
    """Send an operation some requests and count the statuses. Raises: what schemathesis found."""

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), key=st.sampled_from([1, 2, None]))
    def attempt(case: schemathesis.Case, key: int | None) -> None:
        if key and mode is GenerationMode.POSITIVE and "pk" in case.path_parameters:
            case.path_parameters["pk"] = key  # of something that is there, or was
        answer = case.call()
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    try:
        attempt()
    except Unsatisfiable:
        assert not operation.body, "only where nothing can be wrong"
