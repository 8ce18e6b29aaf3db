"""What pages do with clients, households and files of clients, over REST."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from enrollment_addon.people.models import Client
from tests import factories
from tests.rest.conftest import Caller, Town, refusal, wrong_fields

pytestmark = pytest.mark.databases("sqlite")


def test_two_records_become_one_person_who_is_exported_and_erased(
    owner: Caller, town: Town, sessions: Callable[..., Any]
) -> None:
    ann = f"/clients/{town.ann.client}"
    new = {"first_name": "Anne", "last_name": "Archer", "club_id": town.north, "phone": "030 1234567"}
    anne = owner.made("/clients/", new)["id"]
    owner.made("/participants/", {"client_id": anne, "name": "Rocky", "kind": "pet"})
    grant = {"client_ids": [anne], "event_type_id": town.yoga, "quantity": 4}
    owner.made("/credits/grant", grant)
    with sessions() as session:
        notice = factories.make_notice(session, session.get_one(Client, anne)).id

    asked = {"target_id": town.ann.client, "keep": {"first_name": "source"}}
    plan = owner.post(f"/clients/{anne}/merge_preview", asked).get_json()["result"]
    assert plan["client_id"] == town.ann.client
    assert {d["field"]: (d["source"], d["target"], d["wins"]) for d in plan["differences"]}["first_name"] == (
        "Anne", "Ann", "source"
    )
    assert (plan["participants"], plan["obstacles"]) == (["Rocky"], [])
    assert {"label": "Yoga", "source": 4, "after": 14} in plan["moving"]
    assert owner.result(f"/clients/{anne}/credits")["balances"][0]["available"] == 4, "nothing has moved"
    assert "keep" in wrong_fields(owner.post(f"/clients/{anne}/merge_preview", {**asked, "keep": {"x": "source"}}))
    itself = owner.post(f"{ann}/merge_preview", {"target_id": town.ann.client})
    assert refusal(itself) == (409, "cannot_merge")

    wanted = {**asked, "reason": "The same person"}
    first, again = (owner.post(f"/clients/{anne}/merge", wanted, key="merge Anne") for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.get_json() == again.get_json()
    assert first.get_json()["result"]["moved"]["credits.credits"] == 4
    assert refusal(owner.post(f"/clients/{anne}/merge", {**wanted, "keep": {}}, key="merge Anne"))[0] == 409
    merged = owner.result(ann)
    assert (merged["first_name"], merged["phone"]) == ("Anne", "030 1234567")
    told = owner.result(f"/notices/{notice}")
    assert (told["client_id"], told["subject"]) == (town.ann.client, "You have a place: Evening yoga")

    data = owner.post(f"{ann}/export").get_json()["result"]
    assert [row["id"] for row in data["client"]] == [town.ann.client, anne]
    assert data["credit_lots"]
    assert data["charges"]
    assert notice in [row["id"] for row in data["notices"]]
    erased = {"typed_name": "Anne Archer", "reason": "Asked in writing"}
    assert wrong_fields(owner.post(f"{ann}/erase", {**erased, "typed_name": "Ann"})) == {"typed_name"}
    gone = owner.post(f"{ann}/erase", erased).get_json()["result"]
    assert (gone["last_name"], gone["email"], gone["archived"]) == (f"#{town.ann.client}", None, True)
    assert refusal(owner.post(f"{ann}/erase", erased)) == (409, "client_closed")


def test_a_household_changes_its_members_and_its_head(owner: Caller, town: Town) -> None:
    ann, home = town.ann.client, f"/households/{town.ann.household}"
    new = {"first_name": "Ida", "last_name": "Archer", "club_id": town.north}
    ida = owner.made("/clients/", new)["id"]
    joined = owner.post(f"{home}/add_member", {"client_id": ida, "relationship": "child"})
    members = [{"client_id": ann, "relationship": "head"}, {"client_id": ida, "relationship": "child"}]
    assert joined.get_json() == {"count": 2, "result": members}
    assert owner.result(f"{home}/members") == members
    again = owner.post(f"{home}/add_member", {"client_id": ida, "relationship": "child"})
    assert refusal(again) == (409, "already_in_household")
    assert refusal(owner.post(f"{home}/remove_member", {"client_id": ann})) == (409, "head_of_household")
    missing = owner.post(f"{home}/change_head", {"head_id": ida, "relationships": []})
    assert wrong_fields(missing) == {f"relationships.{ann}"}
    related = [{"client_id": ann, "relationship": "parent"}]
    changed = owner.post(f"{home}/change_head", {"head_id": ida, "relationships": related})
    assert changed.get_json()["result"] == [{"client_id": ida, "relationship": "head"}, *related]
    left = owner.post(f"{home}/remove_member", {"client_id": ann})
    assert left.get_json()["result"] == [{"client_id": ida, "relationship": "head"}]
    assert owner.result(f"/clients/{ann}")["household_id"] is None


FILE = "Name;Surname;Mail address;Service;Credits\nIda;Öz;ida@example.org;Yoga;5\nJo;Li;jo@example.org;Judo;2\n"


def test_a_file_is_uploaded_checked_and_imported_once(owner: Caller, town: Town) -> None:
    def send(content: bytes) -> Any:
        return owner("POST", "/imports/", data={"file": (io.BytesIO(content), "clients.csv")})

    assert wrong_fields(owner("POST", "/imports/", data={"other": "x"})) == {"file"}
    assert refusal(send(b"\x00\x01")) == (422, "bad_file")
    sent = send(FILE.encode())
    assert sent.status_code == 201, sent.text
    found = sent.get_json()["result"]
    assert (found["state"], found["total"], found["header"][0]) == ("uploaded", 2, "Name")
    path = f"/imports/{found['id']}"
    assert refusal(owner.post(f"{path}/start")) == (409, "state_conflict"), "it was not checked"
    columns = {"first_name": 0, "last_name": 1, "email": 2, "event_type": 3, "quantity": 4}
    wrong = owner.post(f"{path}/check", {"columns": {**columns, "email": 1, "phone": 9}, "dates": "x"})
    assert wrong_fields(wrong) == {"last_name", "email", "phone", "dates", "club_id"}
    checked = owner.post(f"{path}/check", {"columns": columns, "club_id": town.north})
    assert checked.get_json()["result"]["counts"] == {"create": 1, "update": 0, "unchanged": 0, "refused": 1}
    assert owner.get("/clients/", search="Öz").get_json()["count"] == 0, "a dry run writes nothing"
    refused = owner.get(f"{path}/rows", outcome="refused").get_json()
    assert refused["count"] == 1
    [row] = refused["result"]
    assert (row["number"], row["reason"]) == (3, "There is no active event type “Judo”.")
    assert row["cells"] == ["Jo", "Li", "jo@example.org", "Judo", "2"]
    assert [r["number"] for r in owner.get(f"{path}/rows", after=2).get_json()["result"]] == [3]
    assert wrong_fields(owner.get(f"{path}/rows", outcome="perhaps")) == {"outcome"}

    first, again = (owner.post(f"{path}/start", key="start") for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.get_json() == again.get_json()
    assert first.get_json()["result"]["state"] == "done"
    assert refusal(owner.post(f"{path}/start")) == (409, "state_conflict")
    [ida] = owner.get("/clients/", search="Öz").get_json()["result"]
    assert owner.result(f"/clients/{ida['id']}/credits")["balances"][0]["available"] == 5
    file = owner.get(f"{path}/refused")
    assert file.mimetype == "text/csv"
    assert file.text.splitlines()[1:] == ["Jo,Li,jo@example.org,Judo,2,3,There is no active event type “Judo”."]
    assert refusal(owner.delete(path)) == (409, "state_conflict")
    other = send(FILE.encode()).get_json()["id"]
    assert owner.delete(f"/imports/{other}").status_code == 200
    assert refusal(owner.get(f"/imports/{other}")) == (404, "not_found")
