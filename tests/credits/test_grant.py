"""Adding credits to one client and to many."""

import datetime as dt

import pytest
from sqlalchemy import delete, func, select, update

from enrollment_addon.core import batches, clock, scope
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import IdempotencyMismatch, InvalidInput
from enrollment_addon.core.scope import Actor, Reach
from enrollment_addon.credits import queries, service
from enrollment_addon.credits.errors import MixedCurrencies, NobodySelected
from enrollment_addon.jobs.models import Job
from enrollment_addon.people.models import Client
from tests import factories

pytestmark = pytest.mark.all_databases


def test_each_client_gets_exactly_one_lot_and_its_credits(studio, sound):
    clients = studio.clients(5)
    other = studio.clients(1)[0]
    result = studio.grant(clients, 3, note="welcome", priority=7)
    assert (result["granted"], result["skipped"], result["job_id"]) == (5, [], None)
    lots = studio.lots()
    assert [lot.client_id for lot in lots] == clients
    assert {(lot.quantity, lot.available, lot.priority, lot.note, lot.currency) for lot in lots} == {
        (3, 3, 7, "welcome", "EUR")
    }
    assert studio.balance(clients[0]) == (3, 0, 0)
    assert studio.balance(other) is None
    assert sound()


def test_a_second_grant_adds_to_the_balance(studio, sound):
    clients = studio.clients(2)
    studio.grant(clients, 3)
    studio.grant(clients[:1], 4)
    assert [studio.balance(key) for key in clients] == [(7, 0, 0), (3, 0, 0)]
    assert sound()


def test_chunks_of_any_size_serve_everyone_once(studio, sound):
    clients = studio.clients(7)
    studio.grant(clients, 1, chunk=3)
    assert [lot.client_id for lot in studio.lots()] == clients
    assert sound()


def test_a_search_grants_to_all_it_finds(studio):
    anna, *_ = studio.clients(3)
    with unit_of_work(studio.session):
        studio.session.execute(update(Client).where(Client.id == anna).values(first_name="Anna"))
    found = select(Client.id).where(Client.first_name == "Anna")
    assert studio.plan(found).clients == 1
    assert studio.grant(found)["granted"] == 1
    assert [lot.client_id for lot in studio.lots()] == [anna]


def test_a_search_that_names_a_client_twice_grants_once(studio, sound):
    clients = studio.clients(2)
    twice = select(Client.id).union_all(select(Client.id)).subquery()
    assert studio.grant(select(twice.c.id))["granted"] == 2
    assert len(studio.lots(*clients)) == 2
    assert sound()


def test_a_client_listed_twice_gets_one_lot(studio):
    client = studio.clients(1)[0]
    assert studio.grant([client, client])["granted"] == 1
    assert len(studio.lots()) == 1


def test_who_is_left_out_and_why(studio, sound):
    well = studio.clients(2)
    archived = studio.clients(1, archived=True)[0]
    erased = studio.clients(1, archived=True, erased_at=clock.now())[0]
    gone = studio.clients(1)[0]
    with unit_of_work(studio.session):
        studio.session.execute(delete(Client).where(Client.id == gone))
    asked = [*well, archived, erased, gone, -5, 2**70]
    plan = studio.plan(asked, 3)
    expected = {archived: "archived", erased: "erased", gone: "not_found", -5: "not_found", 2**70: "not_found"}
    assert {item["client_id"]: item["reason"] for item in plan.skipped} == expected
    assert (plan.clients, plan.credits, plan.skipped_count) == (2, 6, 5)
    assert plan.by_reason == {"archived": 1, "erased": 1, "not_found": 3}
    result = studio.grant(asked, 3)
    assert {item["client_id"]: item["reason"] for item in result["skipped"]} == expected
    assert [lot.client_id for lot in studio.lots()] == well
    assert sound()


def test_the_plan_writes_nothing(studio):
    clients = studio.clients(2)
    studio.plan(clients)
    studio.session.rollback()
    assert studio.lots() == []
    with unit_of_work(studio.session):
        assert studio.session.execute(select(func.count()).select_from(batches.batches)).scalar() == 0


def test_a_foreign_client_is_not_found_and_never_changes(studio, sound):
    mine = studio.clients(1)[0]
    with unit_of_work(studio.session):
        foreign = factories.make_client(studio.session).id
        user_id = factories.make_user_row(studio.session).id
    staff = Actor(user_id=user_id, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    everyone = select(Client.__table__.c.id)
    with scope.acting_as(studio.session, staff):
        assert studio.grant([mine, foreign], actor=staff)["skipped"] == [
            {"client_id": foreign, "reason": "not_found"}
        ]
        plan = studio.plan(everyone, actor=staff)
        assert (plan.clients, plan.skipped, plan.skipped_count) == (1, [], 0)
        assert studio.grant(everyone, actor=staff)["granted"] == 1
    assert {lot.client_id for lot in studio.lots()} == {mine}
    assert sound()


@pytest.mark.parametrize("quantity", [0, -1, 1001, "5", 2.5, None, True])
def test_a_wrong_number_is_refused(studio, quantity):
    with pytest.raises(InvalidInput) as refusal:
        studio.grant(studio.clients(1), quantity)
    assert set(refusal.value.fields) == {"quantity"}
    assert studio.lots() == []


@pytest.mark.parametrize(("quantity", "priority"), [(1, 0), (1000, 100)])
def test_the_bounds_are_good_numbers(studio, quantity, priority):
    over = {"shared": True, "member_cap": quantity, "note": "n" * 500}
    assert studio.grant(studio.clients(1), quantity, priority=priority, **over)["granted"] == 1
    (lot,) = studio.lots()
    assert (lot.priority, lot.member_cap, len(lot.note), lot.shared) == (priority, quantity, 500, True)


def yesterday():
    return clock.today("Europe/Berlin") - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("field", "over"),
    [
        ("expires_on", lambda: {"expires_on": yesterday()}),
        ("expires_on", lambda: {"expires_on": "2999-01-01"}),
        ("expires_on", lambda: {"expires_on": dt.datetime(2999, 1, 1)}),
        ("expires_on", lambda: {"expires_on": dt.date(2999, 1, 1), "expires_in": {"days": 1}}),
        ("expires_in", lambda: {"expires_in": {"days": 0}}),
        ("expires_in", lambda: {"expires_in": {"years": 1}}),
        ("expires_in", lambda: {"expires_in": {"days": 1, "weeks": 1}}),
        ("expires_in", lambda: {"expires_in": {"days": 99_999_999}}),
        ("expires_in", lambda: {"expires_in": {}}),
        ("priority", lambda: {"priority": 101}),
        ("priority", lambda: {"priority": -1}),
        ("unit_value", lambda: {"unit_value": "-1"}),
        ("unit_value", lambda: {"unit_value": "1.005"}),
        ("unit_value", lambda: {"unit_value": "ten"}),
        ("unit_value", lambda: {"unit_value": "NaN"}),
        ("note", lambda: {"note": "n" * 501}),
        ("event_type_id", lambda: {"event_type_id": 999_999}),
        ("event_type_id", lambda: {"event_type_id": 2**64}),
    ],
)
def test_wrong_input_names_its_field(studio, field, over):
    clients = studio.clients(1)
    with pytest.raises(InvalidInput) as refusal:
        studio.grant(clients, **over())
    assert field in refusal.value.fields
    assert studio.lots() == []


def test_all_wrong_fields_are_named_at_once(studio):
    with pytest.raises(InvalidInput) as refusal:
        studio.grant(studio.clients(1), 0, priority=200, unit_value="x")
    assert set(refusal.value.fields) == {"quantity", "priority", "unit_value"}


def test_an_inactive_event_type_is_refused(studio):
    with unit_of_work(studio.session):
        old = factories.make_event_type(studio.session, active=False).id
    with pytest.raises(InvalidInput) as refusal:
        studio.grant(studio.clients(1), event_type_id=old)
    assert set(refusal.value.fields) == {"event_type_id"}


@pytest.mark.parametrize("clients", [[], [999_999], select(Client.id).where(Client.id < 0)])
def test_nobody_selected(studio, clients):
    with pytest.raises(NobodySelected):
        studio.plan(clients)
    with pytest.raises(NobodySelected):
        studio.grant(clients)


def test_today_is_a_good_last_day_and_each_club_has_its_own(studio):
    with unit_of_work(studio.session):
        tokyo = factories.make_club(studio.session, timezone="Pacific/Kiritimati")
        honolulu = factories.make_club(studio.session, timezone="Pacific/Pago_Pago")
        clients = [factories.make_client(studio.session, club=club).id for club in (tokyo, honolulu)]
    latest, earliest = clock.today("Pacific/Kiritimati"), clock.today("Pacific/Pago_Pago")
    assert latest > earliest, "these two places never share a date"
    with pytest.raises(InvalidInput):
        studio.plan(clients, expires_on=earliest)
    assert studio.plan(clients, expires_on=latest).expires == (latest,)
    week = dt.timedelta(days=7)
    assert studio.plan(clients, expires_in={"weeks": 1}).expires == (earliest + week, latest + week)
    studio.grant(clients, expires_in={"weeks": 1})
    assert [lot.expires_on for lot in studio.lots()] == [latest + week, earliest + week]


def test_a_value_needs_one_currency_and_is_kept_exactly(studio):
    clients = studio.clients(2)
    with unit_of_work(studio.session):
        yen = factories.make_club(studio.session, currency="JPY")
        stranger = factories.make_client(studio.session, club=yen).id
    studio.grant(clients, unit_value="12.34")
    assert {(lot.unit_value, lot.currency) for lot in studio.lots()} == {(1234, "EUR")}
    with pytest.raises(MixedCurrencies) as refusal:
        studio.grant([*clients, stranger], unit_value="1")
    assert refusal.value.params == {"currencies": "EUR, JPY"}
    assert studio.plan([*clients, stranger]).currency is None
    assert studio.grant([*clients, stranger])["granted"] == 3
    studio.grant([stranger], unit_value="500")
    assert [(lot.unit_value, lot.currency) for lot in studio.lots(stranger)] == [(0, "JPY"), (500, "JPY")]


def test_the_same_key_twice_grants_once(studio, sound):
    clients = studio.clients(2)
    first = studio.grant(clients, idempotency_key="one click")
    assert studio.grant(clients, idempotency_key="one click") == first
    assert studio.grant(list(reversed(clients)), idempotency_key="one click") == first
    assert len(studio.lots()) == 2
    for other in ({"quantity": 3}, {"note": "x"}, {"clients": clients[:1]}):
        with pytest.raises(IdempotencyMismatch):
            studio.grant(**{"clients": clients, "idempotency_key": "one click", **other})
    assert len(studio.lots()) == 2
    assert sound()


def test_a_search_is_the_same_request_only_with_the_same_values(studio):
    anna = studio.clients(1, first_name="Anna")[0]
    studio.clients(1, first_name="Bert")
    search = {name: select(Client.id).where(Client.first_name == name) for name in ("Anna", "Bert")}
    first = studio.grant(search["Anna"], idempotency_key="k")
    assert studio.grant(select(Client.id).where(Client.first_name == "Anna"), idempotency_key="k") == first
    with pytest.raises(IdempotencyMismatch):
        studio.grant(search["Bert"], idempotency_key="k")
    assert [lot.client_id for lot in studio.lots()] == [anna]


def test_nobody_else_gets_the_answer_of_a_key(studio):
    clients = studio.clients(1)
    studio.grant(clients, idempotency_key="k")
    with unit_of_work(studio.session):
        user_id = factories.make_user_row(studio.session).id
    with pytest.raises(IdempotencyMismatch):
        studio.grant(clients, idempotency_key="k", actor=Actor(user_id=user_id, reach=Reach.everything))


def test_a_refused_grant_does_not_use_up_its_key(studio):
    clients = studio.clients(1)
    with pytest.raises(InvalidInput):
        studio.grant(clients, 0, idempotency_key="k")
    assert studio.grant(clients, 1, idempotency_key="k")["granted"] == 1


def test_above_the_threshold_a_job_is_queued_with_the_selection_frozen(studio, sound):
    clients = studio.clients(4)
    result = studio.grant(clients, 2, threshold=3, chunk=2)
    assert (result["granted"], result["clients"]) == (0, 4)
    assert studio.lots() == []
    with unit_of_work(studio.session):
        job = studio.session.get(Job, result["job_id"])
        assert (job.kind, job.total, job.input) == ("credits.grant", 4, {"batch_id": result["batch_id"], "chunk": 2})
    studio.clients(1)
    finish(studio, result["batch_id"])
    assert [lot.client_id for lot in studio.lots()] == clients
    assert sound()


def finish(studio, batch_id, *, size=2):
    """Write the remaining chunks, each in its own transaction."""
    chunks = []
    while True:
        with unit_of_work(studio.session):
            chunks.append(service.grant_chunk(studio.session, batch_id=batch_id, size=size, actor=scope.SYSTEM))
        if chunks[-1].finished:
            return chunks


def test_a_grant_goes_on_after_a_crash_between_and_within_chunks(studio, session_factory, sound):
    clients = studio.clients(7)
    batch_id = studio.grant(clients, 2, threshold=0)["batch_id"]
    with unit_of_work(studio.session):
        service.grant_chunk(studio.session, batch_id=batch_id, size=3, actor=scope.SYSTEM)
    studio.session.close()
    with session_factory() as dying, pytest.raises(KeyboardInterrupt), unit_of_work(dying):  # noqa: PT012 - the crash is in it
        service.grant_chunk(dying, batch_id=batch_id, size=3, actor=scope.SYSTEM)
        raise KeyboardInterrupt
    assert len(studio.lots()) == 3
    with session_factory() as fresh:
        done = 0
        while True:
            with unit_of_work(fresh):
                chunk = service.grant_chunk(fresh, batch_id=batch_id, size=3, actor=scope.SYSTEM)
            done += chunk.done
            if chunk.finished:
                break
    assert done == 4
    assert [lot.client_id for lot in studio.lots()] == clients
    assert queries.batch_summary(studio.session, batch_id).state == "done"
    studio.session.rollback()
    assert sound()


def test_who_changed_since_the_selection_was_frozen_is_left_out_and_named(studio, sound):
    clients = studio.clients(5)
    with unit_of_work(studio.session):
        elsewhere = factories.make_club(studio.session, currency="CHF").id
    batch_id = studio.grant(clients, 2, threshold=0, unit_value="5")["batch_id"]
    stays, archived, deleted, erased, moved = clients
    with unit_of_work(studio.session):
        changes = {archived: {"archived": True}, erased: {"erased_at": clock.now()}, moved: {"club_id": elsewhere}}
        for key, values in changes.items():
            studio.session.execute(update(Client).where(Client.id == key).values(**values))
        studio.session.execute(delete(Client).where(Client.id == deleted))
    chunks = finish(studio, batch_id)
    assert (sum(chunk.done for chunk in chunks), sum(chunk.skipped for chunk in chunks)) == (1, 4)
    assert [lot.client_id for lot in studio.lots()] == [stays]
    summary = queries.batch_summary(studio.session, batch_id)
    assert {item["client_id"]: item["reason"] for item in summary.skipped} == {
        archived: "archived", deleted: "not_found", erased: "erased", moved: "currency",
    }
    assert (summary.done, summary.total, summary.skipped_count) == (1, 5, 4)
    studio.session.rollback()
    assert sound()


def test_a_client_who_takes_the_key_of_a_deleted_one_gets_nothing(studio):
    *_, last = studio.clients(2)
    batch_id = studio.grant(select(Client.id), threshold=0)["batch_id"]
    with unit_of_work(studio.session):
        studio.session.delete(studio.session.get(Client, last))
    new = studio.clients(1)[0]
    finish(studio, batch_id)
    assert studio.lots(new) == []


def test_what_was_asked_and_by_whom_is_in_the_audit(studio):
    with unit_of_work(studio.session):
        user = factories.make_user_row(studio.session, first_name="Ada", last_name="Boss").id
    client = studio.clients(1)[0]
    batch_id = studio.grant([client], actor=Actor(user_id=user, reach=Reach.everything))["batch_id"]
    with unit_of_work(studio.session):
        event = studio.session.execute(select(AuditEvent).where(AuditEvent.verb == "grant_credits")).scalar_one()
        assert (event.actor_id, event.record_id, event.client_id) == (user, batch_id, client)
    lot = studio.lots()[0]
    assert [(row.who, row.kind) for row in queries.lot_entries(studio.session, lot.id)] == [("Ada Boss", "grant")]
