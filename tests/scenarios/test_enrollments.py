"""Packages sold and lived through: each story by REST as another system tells it, some by the pages of the desk."""

import datetime as dt
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core import roles
from enrollment_addon.people.models import Club
from tests import factories
from tests.conftest import csrf_token
from tests.rest.conftest import Caller, refusal, wrong_fields
from tests.rest.conftest import log_in as log_in
from tests.rest.conftest import owner as owner

pytestmark = pytest.mark.databases("sqlite", "postgresql")
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def studio(session_factory: sessionmaker[Session]) -> dict[str, int]:
    """A club on universal time with an event type, and Maya with her dog."""
    with session_factory.begin() as session:
        club = factories.make_club(session, name="Riverside", timezone="UTC")
        yoga = factories.make_event_type(session, name="Yoga")
        maya = factories.make_client(session, club=club, first_name="Maya", last_name="Fischer")
        dog = factories.make_participant(session, maya, name="Rocky")
        other = factories.make_participant(session, factories.make_client(session, club=club))
        return {"club": club.id, "yoga": yoga.id, "maya": maya.id, "dog": dog.id, "stranger": other.id}


@pytest.fixture
def ten(owner: Caller, studio: dict[str, int]) -> int:
    """A package of ten for 150 euros, good for 90 days."""
    made = owner.made("/packages/", {"name": "Yoga ten", "event_type_id": studio["yoga"], "sessions": 10,
                                     "price": "150.00", "currency": "EUR", "valid_days": 90})
    assert (made["price"], made["club_ids"], made["active"]) == ("150.00", [], True)
    return int(made["id"])


@pytest.fixture
def sell(owner: Caller, studio: dict[str, int], ten: int) -> Callable[..., dict[str, Any]]:
    def make(**over: Any) -> dict[str, Any]:
        made: dict[str, Any] = owner.made("/enrollments/", {"client_id": studio["maya"], "package_id": ten, **over})
        return made

    return make


def verb(owner: Caller, item: dict[str, Any], name: str, **body: Any) -> dict[str, Any]:
    answer = owner.post(f"/enrollments/{item['id']}/{name}", body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.get_json()["result"]
    return result


def pay(owner: Caller, studio: dict[str, int], amount: str) -> None:
    owner.made("/payments/", {"client_id": studio["maya"], "amount": amount, "method": "cash"})


def test_a_package_is_sold_raised_and_cancelled_with_a_refund_changed_by_hand(
    owner: Caller, studio: dict[str, int], sell: Callable[..., dict[str, Any]]
) -> None:
    item = sell(participant_id=studio["dog"])
    assert {k: item[k] for k in ("kind", "status", "total", "used", "reserved", "remaining")} == {
        "kind": "package", "status": "active", "total": 10, "used": 0, "reserved": 0, "remaining": 10,
    }
    assert (item["price"], item["paid"], item["refunded"], item["currency"]) == ("150.00", "0.00", "0.00", "EUR")
    assert item["ends_on"] == (TODAY + dt.timedelta(days=89)).isoformat(), "the first day counts"
    credits = owner.result(f"/clients/{studio['maya']}/credits")
    assert [(lot["quantity"], lot["enrollment_id"]) for lot in credits["lots"]] == [(10, item["id"])]
    pay(owner, studio, "150.00")
    item = verb(owner, item, "update_sessions", total=12, charge="30.00")
    assert (item["total"], item["remaining"], item["price"]) == (12, 12, "180.00")
    item = verb(owner, item, "update_sessions", total=11)
    assert (item["total"], item["remaining"], item["price"]) == (11, 11, "180.00")
    pay(owner, studio, "30.00")
    quote = owner.result(f"/enrollments/{item['id']}/refund_quote", kind="partial")
    assert quote == {"amount": "180.00", "percentage": "100.00", "paid": "180.00", "refundable": "180.00",
                     "remaining": 11, "total": 11, "currency": "EUR"}
    for wrong in ("180.01", "-1", "99.999", "much"):
        assert wrong_fields(owner.post(f"/enrollments/{item['id']}/cancel", {"refund": "partial", "amount": wrong}))
    key = {"Idempotency-Key": "cancel once"}
    body = {"refund": "partial", "amount": "100.00", "reason": "Moves away"}
    for _twice in range(2):
        answer = owner("POST", f"/enrollments/{item['id']}/cancel", body, headers=key)
        assert answer.status_code == 200, answer.text
    item = answer.get_json()["result"]
    assert (item["status"], item["remaining"], item["paid"], item["refunded"]) == ("cancelled", 0, "180.00", "100.00")
    back = verb(owner, item, "undo", reason="She stays")
    assert (back["status"], back["remaining"], back["paid"]) == ("active", 11, "180.00")
    charges = owner.result(f"/clients/{studio['maya']}/charges")
    assert [c["gross"] for c in charges if c["status"] == "open"] == ["100.00"], "what was refunded is owed again"
    answer = owner.post(f"/enrollments/{item['id']}/undo", {"reason": "again"})
    assert refusal(answer) == (409, "nothing_to_undo")


def test_completing_with_sessions_left_keeps_or_voids_them_and_can_be_undone(
    owner: Caller, sell: Callable[..., dict[str, Any]]
) -> None:
    kept, voided = sell(), sell()
    assert verb(owner, kept, "complete", unused="keep")["remaining"] == 10
    done = verb(owner, voided, "complete", unused="void")
    assert (done["status"], done["remaining"]) == ("completed", 0)
    refused = owner.post(f"/enrollments/{done['id']}/cancel", {"refund": "none"})
    assert refusal(refused) == (409, "state_conflict")
    assert "Completed" in refused.get_json()["error"]["message"]
    assert verb(owner, voided, "undo", reason="Too early")["remaining"] == 10
    renewal = owner.made(f"/enrollments/{kept['id']}/renew", {})
    assert renewal["renewed_from_id"] == kept["id"]
    late = owner.post(f"/enrollments/{kept['id']}/undo", {"reason": "x"})
    assert refusal(late) == (409, "later_depends")
    assert str(renewal["id"]) in late.get_json()["error"]["message"]
    following = owner.made(f"/enrollments/{voided['id']}/renew", {})
    first_day = TODAY + dt.timedelta(days=90)
    assert following["begins_on"] == first_day.isoformat(), "the day after the present end"


def test_a_pause_over_a_holiday_moves_the_expiry_by_the_days_that_were_rested(
    owner: Caller, studio: dict[str, int], sell: Callable[..., dict[str, Any]]
) -> None:
    item = sell()
    end = TODAY + dt.timedelta(days=89)

    def day(count: int) -> str:
        return (TODAY + dt.timedelta(days=count)).isoformat()

    path = f"/enrollments/{item['id']}/pause"
    assert wrong_fields(owner.post(path, {"begins_on": day(3), "ends_on": day(2)})) == {"ends_on"}
    assert wrong_fields(owner.post(path, {"begins_on": day(-1), "ends_on": day(2)})) == {"begins_on"}
    assert refusal(owner.post(path, {"ends_on": day(400)})) == (409, "pause_limit")
    rest = verb(owner, item, "pause", begins_on=day(0), ends_on=day(13), reason="Holiday")
    assert (rest["status"], rest["ends_on"]) == ("paused", (end + dt.timedelta(days=14)).isoformat())
    [lot] = owner.result(f"/clients/{studio['maya']}/credits")["lots"]
    assert lot["expires_on"] == rest["ends_on"]
    for name, body in (("cancel", {"refund": "none"}), ("complete", {}), ("update_sessions", {"total": 11})):
        refused = owner.post(f"/enrollments/{item['id']}/{name}", body)
        assert refusal(refused) == (409, "state_conflict"), name
        assert "Active" in refused.get_json()["error"]["message"], "it says what is possible"
    goes_on = verb(owner, item, "resume")
    assert (goes_on["status"], goes_on["ends_on"]) == ("active", end.isoformat())
    planned = verb(owner, item, "pause", begins_on=day(20), ends_on=day(26))
    assert (planned["status"], planned["ends_on"]) == ("active", (end + dt.timedelta(days=7)).isoformat())
    again = owner.post(path, {"begins_on": day(26), "ends_on": day(30)})
    assert refusal(again) == (409, "pause_overlaps")
    assert verb(owner, item, "resume")["ends_on"] == end.isoformat()
    assert refusal(owner.post(f"/enrollments/{item['id']}/resume", {})) == (409, "not_paused")


def test_what_was_enrolled_by_mistake_is_deleted_and_restored(
    owner: Caller, studio: dict[str, int], sell: Callable[..., dict[str, Any]]
) -> None:
    item = sell()
    assert owner.post(f"/enrollments/{item['id']}/delete", {"reason": "Wrong client"}).status_code == 200
    assert owner.get("/enrollments/").get_json()["count"] == 0
    assert [c["status"] for c in owner.result(f"/clients/{studio['maya']}/charges")] == ["void"]
    refused = owner.post(f"/enrollments/{item['id']}/complete", {})
    assert refusal(refused) == (409, "enrollment_deleted")
    back = verb(owner, item, "restore")
    assert (back["status"], back["remaining"], back["deleted_at"]) == ("active", 10, None)
    pay(owner, studio, "150.00")
    paid = owner.post(f"/enrollments/{item['id']}/delete", {"reason": "x"})
    assert refusal(paid) == (409, "money_settled")
    full = verb(owner, item, "cancel", refund="full")
    assert (full["refunded"], full["status"]) == ("150.00", "cancelled")


@pytest.mark.databases("sqlite")
def test_bad_input_is_refused_by_its_field(
    owner: Caller, studio: dict[str, int], ten: int, sell: Callable[..., dict[str, Any]]
) -> None:
    item = sell()
    body = {"client_id": studio["maya"], "package_id": ten}
    assert wrong_fields(owner.post("/enrollments/", {**body, "participant_id": studio["stranger"]})) == {
        "participant_id"
    }
    assert wrong_fields(owner.post("/enrollments/", {**body, "begins_on": "tomorrow"})) == {"begins_on"}
    path = f"/enrollments/{item['id']}/update_sessions"
    for wrong, field in (
        ({"total": -1}, "total"), ({"total": 1001}, "total"), ({"total": 12, "charge": "-1"}, "charge"),
        ({"total": 12, "charge": "1.005"}, "charge"), ({"total": 9, "charge": "1"}, "charge"),
    ):
        assert wrong_fields(owner.post(path, wrong)) == {field}, wrong
    assert wrong_fields(owner.get(f"/enrollments/{item['id']}/refund_quote", kind="some")) == {"kind"}
    yen = owner.made("/packages/", {"name": "Elsewhere", "event_type_id": studio["yoga"], "sessions": 1,
                                    "price": "100", "currency": "JPY"})
    assert wrong_fields(owner.post("/enrollments/", {**body, "package_id": yen["id"]})) == {"package_id"}
    assert wrong_fields(owner.put(f"/packages/{yen['id']}", {"club_ids": [studio["club"]]})) == {"club_ids"}
    assert wrong_fields(owner.put(f"/packages/{ten}", {"price": "1.001"})) == {"price"}
    assert owner.put(f"/packages/{ten}", {"active": False}).status_code == 200
    assert wrong_fields(owner.post("/enrollments/", body)) == {"package_id"}, "no longer offered"
    assert refusal(owner.delete(f"/packages/{ten}")) == (409, "in_use")
    assert refusal(owner.get("/enrollments/999999")) == (404, "not_found")


def test_the_desk_sells_and_cancels_by_the_pages(
    app: Flask, http: FlaskClient, make_user: Callable[..., int], login: Callable[..., FlaskClient],
    studio: dict[str, int], ten: int,
) -> None:
    make_user("mia", [roles.MANAGER])
    desk = login(http, "mia")

    def post(url: str, **typed: Any) -> Any:
        page = desk.get(url)
        assert page.status_code == 200, page.text
        return desk.post(url, data={"csrf_token": csrf_token(page.text), **typed})

    card = f"/enrollment/clients/show/{studio['maya']}"
    assert "Yoga ten" in desk.get(card).text, "offered on the card"
    confirm = f"/enrollment/enrollments/new/{studio['maya']}?package_id={ten}"
    assert "150.00" in desk.get(confirm).text
    sold = post(confirm, package_id=ten, participant_id=studio["dog"])
    assert sold.status_code == 302, sold.text
    assert "is enrolled" in desk.get(card).text
    shown = desk.get("/enrollment/enrollments/show/1").text
    for text in ("Active", "Rocky", "Update sessions", "Ledger", "History"):
        assert text in shown
    few = post("/enrollment/enrollments/sessions/1", total=1001)
    assert few.status_code == 422
    assert post("/enrollment/enrollments/sessions/1", total=9).status_code == 302
    explained = f"/enrollment/credits/explain/{studio['maya']}"
    for page in ("/enrollment/ledger/list/", "/enrollment/ledger/export/csv", card, explained):
        assert "Enrollment 1: 10 → 9 sessions" in desk.get(page).text, f"{page} tells it in the reader's words"
    assert post("/enrollment/enrollments/sessions/1", total=12, charge="30").status_code == 302
    assert "12 sessions are left, worth €180.00." in desk.get("/enrollment/enrollments/complete/1").text
    asked = desk.get("/enrollment/enrollments/cancel/1").text
    assert "12 sessions are voided." in asked
    assert "Proposed: €0.00, that is 0 % of what was paid." in asked
    assert post("/enrollment/enrollments/cancel/1", refund="partial", amount="5").status_code == 422
    assert post("/enrollment/enrollments/cancel/1", refund="none", reason="Ill").status_code == 302
    assert post("/enrollment/enrollments/undo/1", reason="Well again").status_code == 302
    history = desk.get("/enrollment/enrollments/show/1").text
    for text in ("12 sessions voided", "Last step undone", "Ill"):
        assert text in history
    listed = desk.get("/enrollment/enrollments/list/?_flt_0_status=active&search=maya").text
    assert "Maya Fischer" in listed
    assert re.search(r'href="/enrollment/credits/explain/\d+\?event_type_id=\d+">12</a>', listed), "how it came about"
    assert desk.get("/enrollment/enrollments/list/?_flt_0_status=paused").text.count("Maya Fischer") == 0


@pytest.mark.databases("sqlite")
def test_of_three_enrollments_the_desk_chooses_which_pays_and_books_again_after_an_undo(
    app: Flask, http: FlaskClient, make_user: Callable[..., int], login: Callable[..., FlaskClient],
    studio: dict[str, int], sell: Callable[..., dict[str, Any]], session_factory: sessionmaker[Session],
) -> None:
    first, second, third = (sell() for _ in range(3))
    with session_factory.begin() as session:
        club, yoga = session.get_one(Club, studio["club"]), session.get_one(EventType, studio["yoga"])
        starts_at = dt.datetime.combine(TODAY + dt.timedelta(days=5), dt.time(9), dt.UTC)
        lesson = factories.make_session(session, club, yoga, starts_at=starts_at, capacity=5, kind="class").id
    make_user("mia", [roles.OWNER])
    desk = login(http, "mia")

    def post(url: str, **typed: Any) -> str:
        token = csrf_token(desk.get(url).text)
        answer = desk.post(url, data={"csrf_token": token, **typed})
        assert answer.status_code == 302, answer.text
        return str(desk.get(answer.headers["Location"]).text)

    book = f"/enrollment/sessions/book/{lesson}?client_id={studio['maya']}"
    form = desk.get(book).text
    offered = [f'value="enrollment:{item["id"]}"' for item in (first, second, third)]
    assert all(option in form for option in offered)
    post(book, participant_id=studio["dog"], pays=f"enrollment:{second['id']}")
    page = f"/enrollment/enrollments/show/{second['id']}"
    shown = desk.get(page).text
    assert f'href="/enrollment/sessions/show/{lesson}"' in shown
    assert "Yoga" in shown.partition("Sessions and attendance")[2]
    assert "Book again" not in shown

    assert "1 booking cancelled" in post(f"/enrollment/enrollments/cancel/{second['id']}", refund="none")
    assert "Book again" not in desk.get(page).text, "a cancelled enrollment pays for nothing"
    link = post(f"/enrollment/enrollments/undo/{second['id']}", reason="Wrong one").partition("Book again")[0]
    again = html.unescape(link.rpartition('href="')[2].partition('"')[0])
    form = desk.get(again).text
    assert re.search(f'selected[^>]*{offered[1]}|{offered[1]}[^>]*selected', form), "the same pays again"
    post(again, participant_id=studio["dog"], pays=f"enrollment:{second['id']}")
    assert "Book again" not in desk.get(page).text

    finished = f"/enrollment/enrollments/show/{third['id']}"
    post(f"/enrollment/enrollments/complete/{third['id']}", unused="keep")
    renewed = post(f"/enrollment/enrollments/renew/{third['id']}")
    assert f'href="{finished}"' in renewed.partition("Renews")[2]
    shown = desk.get(finished).text
    assert 'href="/enrollment/enrollments/show/4"' in shown.partition("Renewed by")[2]
    assert "This cannot be undone because something later depends on it: enrollment 4 renews it." in shown
    assert "It was renewed already: enrollment 4" in desk.get(f"/enrollment/enrollments/renew/{third['id']}").text
    delete = re.sub(r"\s+", " ", desk.get("/enrollment/enrollments/delete/4").text)
    assert re.search(r"<dt>Sessions left</dt> <dd><bdi>\d+</bdi>", delete), "what goes with it is said in numbers"
    post("/enrollment/enrollments/delete/4", reason="Twice")
    assert "Renewed by" not in desk.get(finished).text
    asked = desk.get("/enrollment/enrollments/restore/4").text
    assert "€150.00 charged · 10 sessions are back · good until" in asked, "as the undo says it"


@pytest.mark.databases("sqlite")
def test_only_those_permitted_change_the_amount_of_a_refund(
    app: Flask, studio: dict[str, int], owner: Caller, sell: Callable[..., dict[str, Any]],
    make_user: Callable[..., int], log_in: Callable[[str], Caller], session_factory: sessionmaker[Session],
) -> None:
    item = sell()
    pay(owner, studio, "150.00")
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        role = security.add_role("Cancels as proposed")
        for pair in ("can_read on EnrollmentEnrollment", "can_cancel_enrollment on Enrollment",
                     "can_see_all_clients on Enrollment"):
            security.add_permission_role(role, security.find_permission_view_menu(*pair.split(" on ")))
    make_user("tom", ["Cancels as proposed"])
    desk, path = log_in("tom"), f"/enrollments/{item['id']}/cancel"
    assert refusal(desk.post(path, {"refund": "partial", "amount": "149.99"})) == (403, "forbidden")
    done = desk.post(path, {"refund": "partial", "amount": "150.00"})
    assert done.status_code == 200, "what is proposed is no change"
    assert done.get_json()["result"]["refunded"] == "150.00"


VERBS = {
    "": "create_enrollment", "/1/update_sessions": "update_sessions", "/1/complete": "complete_enrollment",
    "/1/cancel": "cancel_enrollment", "/1/pause": "pause_enrollment", "/1/resume": "pause_enrollment",
    "/1/undo": "undo_enrollment", "/1/renew": "create_enrollment", "/1/delete": "delete_enrollment",
    "/1/restore": "delete_enrollment",
}


@pytest.mark.databases("sqlite")
def test_each_verb_takes_its_own_permission_and_the_clients_reach(
    app: Flask, owner: Caller, studio: dict[str, int], sell: Callable[..., dict[str, Any]],
    make_user: Callable[..., int], log_in: Callable[[str], Caller], session_factory: sessionmaker[Session],
) -> None:
    item = sell()
    bodies = {"": {"client_id": studio["maya"], "package_id": item["package_id"]}, "/1/update_sessions": {"total": 5},
              "/1/cancel": {"refund": "none"}, "/1/pause": {"ends_on": TODAY.isoformat()},
              "/1/undo": {"reason": "x"}, "/1/delete": {"reason": "x"}}
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        everything = {"can_read on EnrollmentEnrollment", *(f"can_{v} on Enrollment" for v in VERBS.values())}
        for name in sorted(set(VERBS.values())):
            held = sorted(everything - {f"can_{name} on Enrollment"})
            found = [security.find_permission_view_menu(*pair.split(" on ")) for pair in held]
            security.add_role(f"All but {name}", found)
    for name in sorted(set(VERBS.values())):
        user_id = make_user(f"no-{name}", [f"All but {name}"])
        with session_factory.begin() as session:
            factories.make_team_member(session, user_id=user_id)
        person = log_in(f"no-{name}")
        for path, wanted in VERBS.items():
            status = refusal(person.post(f"/enrollments{path}", bodies.get(path)))[0]
            assert status == (403 if wanted == name else 404), (name, path)
        assert person.get("/enrollments/").get_json()["count"] == 0, "somebody else's client"
    assert owner.result("/enrollments/1")["status"] == "active", "nothing happened"
