"""Credits that change hands, event type or last day, in the browser: seen, done, taken back, and not allowed."""

import csv
import datetime as dt
import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import service
from enrollment_addon.schedule.service import book
from tests import factories
from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances

DAY = dt.timedelta(days=1)
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def soon() -> dt.date:
    return clock.today("Europe/Berlin") + 20 * DAY


@pytest.fixture
def private(app: Flask, studio: Studio, soon: dt.date) -> int:
    """Another event type; two clients, one of them Jonas’s, have ten yoga credits of 12.00 each that expire soon."""
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            service.grant_credits(
                session, clients=[studio.clients[0], studio.clients[20]], event_type_id=studio.yoga, quantity=10,
                expires_on=soon, unit_value="12.00", actor=SYSTEM, threshold=500, chunk=100,
            )
            key: int = factories.make_event_type(session, name="Private lesson").id
            return key


def post(http: FlaskClient, url: str, page: str, **typed: Any) -> Any:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    return http.post(url, data={**hidden, "reason": "as agreed", **typed})


def choose(http: FlaskClient, where: str, action: str, **selection: Any) -> Any:
    token = csrf_token(http.get(f"/enrollment/{where}/list/").text)
    return http.post(f"/enrollment/{where}/action_post", data={"csrf_token": token, "action": action, **selection})


def undo(http: FlaskClient, page: str, told: str) -> Any:
    """Follow the link of the notice to the batch, then undo it, which tells beforehand what it will do."""
    match = re.search(r'href="[^"]*(/enrollment/batches/)show/(\d+)"', page)
    assert match, "the notice leads to the batch"
    url = f"{match[1]}undo/{match[2]}"
    form = http.get(url).text
    assert told in form
    return post(http, url, form)


def test_a_transfer_on_the_card_and_its_undo(ana: FlaskClient, app: Flask, studio: Studio, private: int) -> None:
    giver, taker = studio.clients[0], studio.clients[5]
    url = f"/enrollment/credit-moves/transfer/{giver}"
    assert url in ana.get(f"/enrollment/clients/show/{giver}").text
    form = ana.get(url).text
    assert "Maya 00 Fischer" in form
    asked = {"to_client_id": taker, "event_type_id": studio.yoga}
    refused = post(ana, url, form, **asked, quantity=99)
    assert refused.status_code == 422
    assert 'value="99"' in refused.text, "what was typed stays"
    done = post(ana, url, form, **asked, quantity=4)
    assert done.status_code == 302
    assert post(ana, url, form, **asked, quantity=4).status_code == 302, "a second click changes nothing"
    assert (balances(app)[giver], balances(app)[taker]) == (6, 4)
    card = ana.get(done.location).text
    assert "4 credits now belong to Maya 05 Fischer" in card
    assert "Given away by transfer" in ana.get(f"/enrollment/credits/explain/{giver}").text
    grant = ana.get("/enrollment/batches/undo/1").text
    assert "Nobody has spent any: 16 of 20 are taken back. No longer there: 4 were given away." in grant
    assert "Take back 16 credits" in grant
    undone = undo(ana, card, "4 of 4 credits go back to Maya 00 Fischer.")
    assert "4 credits were given back." in ana.get(undone.location).text
    assert (balances(app)[giver], balances(app)[taker]) == (10, 0)
    assert_ledger_is_consistent(app)


def test_a_conversion_says_what_came_out_and_what_is_left(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    url = f"/enrollment/credit-moves/convert/{studio.clients[0]}"
    form = ana.get(url, query_string={"event_type_id": studio.yoga}).text
    asked = {"from_event_type_id": studio.yoga, "to_event_type_id": private, "give": 2, "get": 1}
    assert post(ana, url, form, **asked, quantity=1).status_code == 422
    done = post(ana, url, form, **asked, quantity=5)
    card = ana.get(done.location).text
    assert "4 credits became 2; left as they were: 1." in card
    assert balances(app)[studio.clients[0]] == 8
    explained, ledger = f"/enrollment/credits/explain/{studio.clients[0]}", "/enrollment/ledger/export/csv"
    for page in (card, ana.get(explained).text, ana.get(ledger).text):
        assert "Received by conversion" in page
        assert "by transfer" not in page, "nobody else has them"
    assert "from Maya 00 Fischer" not in ana.get(explained).text
    assert "Converted" in ana.get(explained).text
    assert undo(ana, card, "2 of 2 credits become 4 × Yoga class again.").status_code == 302
    assert balances(app)[studio.clients[0]] == 10
    assert "Conversion undone" in ana.get(explained).text
    batch = re.search(r"/enrollment/batches/show/\d+", card)
    assert batch
    assert "Session credits converted: 5 × Yoga class → Private lesson" in ana.get(batch[0]).text
    assert_ledger_is_consistent(app)


def test_what_expires_soon_is_listed_with_its_value_exported_and_extended(
    ana: FlaskClient, app: Flask, studio: Studio, private: int, soon: dt.date
) -> None:
    page = ana.get("/enrollment/expiring/list/").text
    for told in ("Maya 00 Fischer", "Maya 20 Fischer", "€120.00", "20 credits", "€240.00"):
        assert told in page, told
    assert "Maya 00" in ana.get("/enrollment/expiring/list/?_flt_0_within=30").text
    sheet = ana.get("/enrollment/expiring/export/csv").text
    assert "Maya 20 Fischer" in sheet
    assert "120.00," in sheet
    assert ",EUR" in sheet
    form = choose(ana, "expiring", "extend_credit_expiry", all="1", filter="")
    assert "Set the last day of 20 credits" in form.text
    later = (soon + 200 * DAY).isoformat()
    url = "/enrollment/expiring/new-last-day"
    empty = post(ana, url, form.text, expiry="date", expires_on="")
    assert empty.status_code == 422
    past = post(ana, url, form.text, expiry="date", expires_on="2020-01-01")
    assert past.status_code == 422
    sooner = (soon - 5 * DAY).isoformat()
    warned = post(ana, url, form.text, expiry="date", expires_on=sooner)
    assert "2 of 2 lots would expire earlier than now." in warned.text
    assert f'value="{sooner}"' in warned.text, "what was typed stays"
    assert "€120.00" in ana.get("/enrollment/expiring/list/?_flt_0_within=30").text, "nothing is done yet"
    assert post(ana, url, form.text, expiry="period", period_count="", period_unit="weeks").status_code == 422
    much = post(ana, url, form.text, expiry="period", period_count=9_999, period_unit="weeks")
    assert "at most ten years" in much.text
    assert post(ana, url, warned.text, expiry="date", expires_on=sooner).status_code == 302, "it was meant"
    form = choose(ana, "expiring", "extend_credit_expiry", all="1", filter="")
    assert post(ana, url, form.text, expiry="period", period_count=2, period_unit="weeks").status_code == 302
    assert (soon + 9 * DAY).isoformat() in ana.get("/enrollment/expiring/export/csv").text
    form = choose(ana, "expiring", "extend_credit_expiry", all="1", filter="")
    done = post(ana, url, form.text, expiry="date", expires_on=later)
    assert done.status_code == 302
    after = ana.get(done.location).text
    assert "2 lots have a new last day." in after
    assert "Nothing expires in this time." in after
    explained = ana.get(f"/enrollment/credits/explain/{studio.clients[0]}").text
    assert "New last day" in explained
    assert "as agreed" in explained
    assert "2 lots" in ana.get("/enrollment/batches/list/").text, "an extension is for lots, not for clients"
    undone = undo(ana, after, "20 available credits get their former last day back.")
    assert "20 credits have their former last day again." in ana.get(undone.location).text
    assert "Maya 00 Fischer" in ana.get("/enrollment/expiring/list/").text
    assert_ledger_is_consistent(app)


def test_lots_are_voided_and_extended_from_their_list_and_the_clients(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    form = choose(ana, "clients", "extend_credit_expiry", all="1", filter="search=fischer")
    assert "Set the last day of 20 credits" in form.text
    done = post(ana, "/enrollment/credit-moves/new-last-day", form.text, expiry="none")
    assert done.status_code == 302
    assert "New last day" in ana.get(done.location).text
    assert "Nothing expires in this time." in ana.get("/enrollment/expiring/list/").text
    form = choose(ana, "lots", "void_session_credits", all="1", filter="")
    assert "Take back 20 credits" in form.text
    done = post(ana, "/enrollment/lots/take-back", form.text)
    page = ana.get(done.location).text
    assert "20 credits were taken back." in page
    card = ana.get(f"/enrollment/clients/show/{studio.clients[0]}").text
    assert "Taken back" in card
    batch = re.search(r"/enrollment/batches/show/(\d+)", page)
    assert batch
    assert f"/enrollment/batches/show/{batch[1]}" in card, "the way to its undo"
    assert undo(ana, page, "20 of 20 voided credits come back to their lots.").status_code == 302
    assert set(balances(app).values()) == {10}
    assert "Given back" in ana.get(f"/enrollment/credits/explain/{studio.clients[0]}").text
    assert "Given back" in ana.get(f"/enrollment/clients/show/{studio.clients[0]}").text
    form = choose(ana, "lots", "void_session_credits", all="1", filter="")
    post(ana, "/enrollment/lots/take-back", form.text)
    assert set(balances(app).values()) == {0}
    form = choose(ana, "lots", "extend_credit_expiry", all="1", filter="")
    refused = post(ana, "/enrollment/lots/new-last-day", form.text, expiry="none")
    assert refused.status_code == 409
    assert "Nothing is left in these lots" in refused.text
    assert_ledger_is_consistent(app)


def test_credits_are_voided_from_the_card_and_the_list_of_clients(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    url = f"/enrollment/credit-moves/void/{studio.clients[0]}"
    assert url in ana.get(f"/enrollment/clients/show/{studio.clients[0]}").text
    form = ana.get(url).text
    assert "Take back 10 credits" in form
    assert "Yoga class · Maya 00 Fischer" in form.partition("</header>")[2].partition("</header>")[0], "whose they are"
    take_back = "/enrollment/credit-moves/take-back"
    unsaid = post(ana, take_back, form, reason="")
    assert unsaid.status_code == 422
    done = post(ana, take_back, form)
    assert done.location == f"/enrollment/clients/show/{studio.clients[0]}"
    assert "10 credits were taken back." in ana.get(done.location).text
    assert post(ana, take_back, form).status_code == 302, "a second click changes nothing"
    search = "search=fischer&x=a\nb"
    form = choose(ana, "clients", "void_session_credits", all="1", filter=search).text
    assert "Take back 10 credits" in form
    done = post(ana, take_back, form)
    assert "/enrollment/batches/show/" in done.location
    assert set(balances(app).values()) == {0}
    for action in ("void_session_credits", "extend_credit_expiry"):
        nobody = choose(ana, "clients", action, all="1", filter=search)
        assert nobody.status_code == 302
        back = ana.get(nobody.location)
        assert "Nobody of those who are selected has session credits left." in back.text
        assert "Maya 00 Fischer" in back.text
    assert_ledger_is_consistent(app)


def test_ticked_lots_go_to_another_client_and_back(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    giver, taker = studio.clients[0], studio.clients[5]
    assert 'href="/enrollment/lots/transfer/1"' in ana.get("/enrollment/lots/show/1").text
    assert "Transfer 10 credits" in ana.get("/enrollment/lots/transfer/1").text
    form = choose(ana, "lots", "transfer_session_credits", rowid="1,2").text
    for told in ("Transfer 20 credits", "Maya 00 Fischer, Maya 20 Fischer"):
        assert told in form, told
    url = "/enrollment/lots/transfer-lots"
    refused = post(ana, url, form, to_client_id=taker, reason="")
    assert refused.status_code == 422
    assert "Maya 05 Fischer" in refused.text, "what was chosen stays"
    done = post(ana, url, form, to_client_id=taker)
    assert done.status_code == 302
    assert post(ana, url, form, to_client_id=taker).status_code == 302, "a second click changes nothing"
    assert balances(app) == {giver: 0, studio.clients[20]: 0, taker: 20}
    page = ana.get(done.location).text
    assert "20 credits now belong to Maya 05 Fischer." in page
    nothing = choose(ana, "lots", "transfer_session_credits", rowid="1,2")
    assert "Nothing in these lots can be given away" in ana.get(nothing.location).text
    nothing = choose(ana, "lots", "void_session_credits", rowid="1,2")
    assert "There is nothing to take back" in ana.get(nothing.location).text
    batch = re.search(r"/enrollment/batches/show/\d+", page)
    assert batch
    assert ana.get(batch[0]).text.count('<div class="small muted">Yoga class</div>') == 2, "of which kind"
    assert undo(ana, page, "20 of 20 credits go back to those who gave them.").status_code == 302
    assert balances(app) == {giver: 10, studio.clients[20]: 10, taker: 0}
    assert_ledger_is_consistent(app)


def test_what_many_clients_have_is_converted_after_a_look_and_taken_back(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    form = choose(ana, "clients", "convert_session_credits", all="1", filter="search=fischer").text
    url = "/enrollment/credit-moves/convert-clients"
    asked = {"from_event_type_id": studio.yoga, "to_event_type_id": private, "give": 3, "get": 2}
    assert post(ana, url, form, **{**asked, "give": 101}).status_code == 422
    nobody = post(ana, url, form, **{**asked, "give": 11})
    assert (nobody.status_code, "enough unspent credits" in nobody.text) == (409, True)
    shown = post(ana, url, form, **asked).text
    for told in (">Maya 00 Fischer</bdi> · 9 → 6 · 1 stays", "Convert 18 credits of 2 clients", "Clients with too few",
                 "18 × Yoga class", "12 × Private lesson"):
        assert told in shown, told
    assert set(balances(app).values()) == {10}, "nothing is done yet"
    other = post(ana, url, shown, **{**asked, "give": 5}).text
    assert ">Maya 00 Fischer</bdi> · 10 → 4</li>" in other, "other terms are shown first"
    done = post(ana, url, shown, **asked)
    assert post(ana, url, shown, **asked).location == done.location, "a second click changes nothing"
    page = ana.get(done.location).text
    assert "18 credits became 12." in page
    assert "Show or undo" not in page, "it is this page"
    made = "Yoga class → Private lesson"
    assert f"Session credits converted: {made}" in page
    assert "2 clients" in ana.get("/enrollment/batches/list/").text
    batch = done.location.rsplit("/", 1)[1]
    told = ana.get(f"/enrollment/batches/undo/{batch}").text
    assert f'<a href="/enrollment/batches/show/{batch}">Session credits converted: {made}</a>' in told
    assert "12 of 12 credits become 18 × Yoga class again." in told
    assert post(ana, f"/enrollment/batches/undo/{batch}", told).status_code == 302
    assert set(balances(app).values()) == {10}
    post(ana, "/enrollment/credit-moves/take-back", choose(ana, "clients", "void_session_credits", all="1").text)
    empty = ana.get(ana.get("/enrollment/batches/undo/1").location).text
    assert "There is nothing to take back: the credits of this batch were spent" in empty
    assert_ledger_is_consistent(app)


def test_what_expires_soon_by_client_in_the_time_asked_for(
    ana: FlaskClient, app: Flask, studio: Studio, private: int, soon: dt.date
) -> None:
    giver, other = studio.clients[0], studio.clients[20]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga = session.get_one(factories.EventType, studio.yoga)
        for days, key in ((5, giver), (50, giver), (50, other), (50, studio.clients[30])):
            client = session.get_one(factories.Client, key)
            factories.make_lot(session, client, yoga, quantity=3, expires_on=soon + days * DAY, unit_value=1000)
        client.archived = True
    expiring = ana.get("/enrollment/expiring/list/").text
    assert 'href="/enrollment/expiring-clients/list/"' in expiring
    assert "/enrollment/expiring/list/?_flt_0_within=30" in expiring, "a sum leads to its rows"
    page = ana.get("/enrollment/expiring-clients/list/").text
    for told in ("30 days: 23 credits, €270.00", "90 days: 29 credits, €330.00", "€180.00", "€150.00"):
        assert told in page, told
    assert "Maya 30" not in page, "nobody calls those who are archived"
    sheet = ana.get("/enrollment/expiring-clients/export/csv?_flt_0_within=30").get_data().decode("utf-8-sig")
    found = [(row["Client"], row["Available"], row["Value forfeited"]) for row in csv.DictReader(io.StringIO(sheet))]
    assert found == [("Maya 00 Fischer", "13", "€150.00"), ("Maya 20 Fischer", "10", "€120.00")]
    form = choose(ana, "expiring-clients", "extend_credit_expiry", rowid=str(giver), filter="_flt_0_within=30").text
    assert "Set the last day of 13 credits" in form
    typed = {"expiry": "date", "expires_on": (soon + 200 * DAY).isoformat()}
    done = post(ana, "/enrollment/expiring-clients/new-last-day", form, **typed)
    assert done.status_code == 302
    assert "2 lots have a new last day." in ana.get(done.location).text
    form = choose(ana, "expiring-clients", "extend_credit_expiry", all="1", filter="").text
    assert "Set the last day of 16 credits" in form, "of both, all within 90 days"


def test_files_say_who_got_what_who_did_what_and_for_which_booking(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    giver, taker = studio.clients[0], studio.clients[5]
    url = f"/enrollment/credit-moves/transfer/{giver}"
    done = post(ana, url, ana.get(url).text, to_client_id=taker, event_type_id=studio.yoga, quantity=4)
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        maya = session.get_one(factories.Client, taker)
        yoga, club = session.get_one(factories.EventType, studio.yoga), session.get_one(factories.Club, studio.uptown)
        factories.make_participant(session, maya, kind="self", name="Maya 05 Fischer")
        lesson = factories.make_session(session, club, yoga, starts_at=clock.now() + DAY)
        book(session, client_id=taker, session_id=lesson.id, actor=SYSTEM)
        lesson_id = lesson.id

    def rows(where: str, **query: Any) -> list[dict[str, str]]:
        sheet = ana.get(f"/enrollment/{where}/export/csv", query_string=query)
        return list(csv.DictReader(io.StringIO(sheet.get_data().decode("utf-8-sig"))))

    moved = re.search(r"/enrollment/batches/show/(\d+)", ana.get(done.location).text)
    assert moved
    for key, expected in ((1, {"Maya 00 Fischer": "6", "Maya 20 Fischer": "10"}), (moved[1], {"Maya 05 Fischer": "3"})):
        page = ana.get(f"/enrollment/batches/show/{key}").text
        assert f"/enrollment/lots/export/csv?_flt_0_batch_id={key}" in page
        assert page.count(f'href="/enrollment/lots/list/?_flt_0_batch_id={key}"') == 8, "every figure has its lots"
        found = rows("lots", _flt_0_batch_id=key)
        assert {row["Client"]: row["Available"] for row in found} == expected
    assert found[0]["Reserved"] == "1"
    ledger = rows("ledger", _flt_0_client_id=taker)
    assert [(row["What happened"], row["By whom"], row["Event type"]) for row in ledger] == [
        ("Received by transfer", "Ana Test", "Yoga class"), ("Reserved for a booking", "", "Yoga class"),
    ]
    assert ledger[1]["Booking"].endswith("Maya 05 Fischer")
    listed = ana.get(f"/enrollment/ledger/list/?_flt_0_client_id={taker}").text
    assert re.search(rf'href="/enrollment/sessions/show/{lesson_id}"><span><bdi>[^<]+</bdi> · <bdi>', listed)
    assert f'href="/enrollment/credits/explain/{taker}?' in listed, "a change links to how it came about"
    assert {"Available", "Reserved", "Used"} <= set(rows("expiring")[0])


def test_shared_credits_with_a_cap_and_credits_for_one_participant(
    ana: FlaskClient, app: Flask, studio: Studio, private: int
) -> None:
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            kim = factories.make_participant(
                session, session.get(factories.Client, studio.clients[3]), name="Kim Fischer"
            ).id
    url = f"/enrollment/credits/add/{studio.clients[3]}"
    typed = {
        "event_type_id": private, "quantity": 2, "expiry": "none", "period_unit": "months", "shared": "y",
        "member_cap": 1, "participant_ids": kim,
    }
    assert post(ana, "/enrollment/credits/save", ana.get(url).text, **typed).status_code == 302
    lots = ana.get("/enrollment/lots/list/", query_string={"_flt_0_client_id": studio.clients[3]}).text
    key = re.search(r"/enrollment/lots/show/(\d+)", lots)
    assert key
    page = ana.get(key[0]).text
    assert "Kim Fischer" in page
    assert "1 credit per member" in page
    explained = ana.get(f"/enrollment/credits/explain/{studio.clients[3]}").text
    assert "only for Kim Fischer" in explained
    over = {**typed, "shared": ""}
    assert post(ana, "/enrollment/credits/save", ana.get(url).text, **over).status_code == 422


def test_a_team_member_may_do_none_of_it(jonas: FlaskClient, app: Flask, studio: Studio, private: int) -> None:
    mine = studio.jonas_clients[0]
    card = jonas.get(f"/enrollment/clients/show/{mine}").text
    assert "credit-moves" not in card
    for page in ("transfer", "convert", "extend", "void"):
        assert jonas.get(f"/enrollment/credit-moves/{page}/{mine}").status_code == 403, page
    for where, action in (
        ("clients", "extend_credit_expiry"), ("clients", "void_session_credits"),
        ("lots", "extend_credit_expiry"), ("lots", "void_session_credits"),
        ("expiring", "extend_credit_expiry"), ("expiring-clients", "extend_credit_expiry"),
    ):
        assert choose(jonas, where, action, all="1", filter="").status_code == 403, (where, action)
    token = csrf_token(card)
    for url in (
        "credit-moves/new-last-day", "credit-moves/take-back", "lots/new-last-day", "lots/take-back",
        "expiring/new-last-day", "expiring-clients/new-last-day",
    ):
        assert jonas.post(f"/enrollment/{url}", data={"csrf_token": token}).status_code == 403, url
    page = jonas.get("/enrollment/expiring/list/").text
    assert "10 credits" in page, "the sums count only what is in reach"
    assert "Maya 20 Fischer" not in page
    assert balances(app)[mine] == 10
