"""Two records of one person become one, and no credit is lost or made on the way."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import IdempotencyMismatch, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, acting_as
from enrollment_addon.credits import service as credits
from enrollment_addon.credits.errors import ReservedCredits
from enrollment_addon.credits.models import CreditBalance, CreditEntry, CreditLot, EntryKind
from enrollment_addon.credits.queries import lot_entries
from enrollment_addon.people import queries, service
from enrollment_addon.people.errors import CannotMerge, ClientClosed, HeadStays
from enrollment_addon.people.models import Client, Household, Participant
from tests import factories

from .conftest import Place

pytestmark = pytest.mark.all_databases


def merge(session: Session, source: Client, target: Client, **over: Any) -> dict[str, Any]:
    with unit_of_work(session):
        return service.merge_clients(
            session, source_id=source.id, target_id=target.id,
            **{"reason": "same person", "actor": SYSTEM, **over},
        )


def available(session: Session, client: Client) -> dict[int, int]:
    rows = session.execute(
        select(CreditBalance.event_type_id, CreditBalance.available)
        .where(CreditBalance.client_id == client.id)
    )
    return {row.event_type_id: row.available for row in rows if row.available}


def test_credits_go_over_and_the_ledger_stays_sound(session: Session, place: Place) -> None:
    yoga = factories.make_event_type(session, name="Yoga")
    spin = factories.make_event_type(session, name="Spin")
    factories.make_lot(session, place.ann, yoga, quantity=4, unit_value=1250, priority=10, note="gift card")
    factories.make_lot(session, place.ann, yoga, quantity=3)
    factories.make_lot(session, place.ann, spin, quantity=1)
    factories.make_lot(session, place.bob, yoga, quantity=5)
    session.commit()

    plan = service.merge_plan(session, source_id=place.ann.id, target_id=place.bob.id)
    assert [(r["event_type"], r["source"], r["target"], r["after"]) for r in plan.parts["credits"].rows] == [
        ("Spin", 1, 0, 1), ("Yoga", 7, 5, 12),
    ]
    result = merge(session, place.ann, place.bob)

    assert result["client_id"] == place.bob.id
    assert {name: count for name, count in result["moved"].items() if count} == {
        "credits.lots": 3, "credits.credits": 8,
    }
    assert available(session, place.bob) == {yoga.id: 12, spin.id: 1}
    assert available(session, place.ann) == {}
    assert list(credits.check_ledger(session)) == []
    moved = session.scalars(
        select(CreditLot).where(CreditLot.client_id == place.bob.id, CreditLot.unit_value == 1250)
    ).one()
    assert (moved.quantity, moved.priority, moved.note) == (4, 10, "gift card")
    left, arrived = session.scalars(
        select(CreditEntry).where(CreditEntry.reason == "same person", CreditEntry.event_type_id == spin.id)
        .order_by(CreditEntry.id)
    )
    assert (left.kind, left.client_id, left.available_change) == (EntryKind.transfer_out, place.ann.id, -1)
    assert (arrived.kind, arrived.client_id, arrived.reversal_of_id) == (
        EntryKind.transfer_in, place.bob.id, left.id,
    )
    (told,) = [entry for entry in lot_entries(session, left.lot_id) if entry.id == left.id]
    assert [(side.lot_id, side.client) for side in told.others] == [(arrived.lot_id, place.bob.full_name)]
    total = session.scalar(select(func.sum(CreditEntry.available_change)))
    assert total == 13, "nothing was lost or made"


def test_what_was_used_stays_in_the_sources_ledger(session: Session, place: Place) -> None:
    yoga = factories.make_event_type(session)
    factories.make_lot(session, place.ann, yoga, quantity=3)
    session.commit()
    lot_id = session.scalars(select(CreditLot.id)).one()
    with unit_of_work(session):
        credits.reserve_credits(
            session, client_id=place.ann.id, event_type_id=yoga.id, booking_id=1, on=clock.today("UTC"),
            actor=SYSTEM,
        )
    plan = service.merge_plan(session, source_id=place.ann.id, target_id=place.bob.id)
    assert [type(obstacle) for obstacle in plan.obstacles] == [ReservedCredits]
    with pytest.raises(ReservedCredits, match="reserved for bookings: 1"):
        merge(session, place.ann, place.bob)
    assert not place.ann.archived
    with unit_of_work(session):
        credits.consume_credits(session, booking_id=1, actor=SYSTEM)
    merge(session, place.ann, place.bob)
    session.expire_all()
    assert available(session, place.bob) == {yoga.id: 2}
    lot = session.get(CreditLot, lot_id)
    assert (lot.client_id, lot.used, lot.transferred) == (place.ann.id, 1, 2)
    assert list(credits.check_ledger(session)) == []


def test_the_targets_values_win_unless_somebody_chose(session: Session, place: Place) -> None:
    user_id = factories.make_user_row(session).id
    service.update_client(
        session, id=place.ann.id, actor=SYSTEM, phone="030 1234567", locale="de", tags=["vip", "new"],
        notes="Knows Bob", portal_user_id=user_id,
    )
    service.update_client(
        session, id=place.bob.id, actor=SYSTEM, tags=["old", "vip"], notes="Is Bob", locale="fr"
    )
    session.commit()
    plan = service.merge_plan(
        session, source_id=place.ann.id, target_id=place.bob.id, keep={"email": "source"}
    )
    wins = {item.field: item.wins for item in plan.differences}
    assert wins == {
        "first_name": "target", "last_name": "target", "email": "source", "phone": "source",
        "locale": "target", "club_id": "target", "team_member_id": "target", "portal_user_id": "source",
    }
    merge(session, place.ann, place.bob, keep={"email": "source", "first_name": "source"})
    session.expire_all()
    bob = place.bob
    assert (bob.full_name, bob.email, bob.phone, bob.locale) == (
        "Ann Baker", "ann@example.org", "030 1234567", "fr",
    )
    assert (bob.tags, bob.notes) == (["old", "vip", "new"], "Is Bob\n\nKnows Bob")
    assert bob.portal_user_id == user_id
    ann = place.ann
    assert (ann.archived, ann.merged_into_id, ann.email, ann.portal_user_id) == (True, bob.id, None, None)
    assert ann.full_name == "Ann Archer", "the source stays readable"


def test_participants_go_over_except_the_person_themself(session: Session, place: Place) -> None:
    ann = service.create_client(
        session, actor=SYSTEM, first_name="Anna", last_name="Archer", club_id=place.north.id
    )
    service.create_participant(session, actor=SYSTEM, client_id=ann.id, name="Rex", kind="pet")
    session.commit()
    plan = service.merge_plan(session, source_id=ann.id, target_id=place.bob.id)
    assert [participant.name for participant in plan.participants] == ["Rex"]
    merge(session, ann, place.bob)
    holders = {
        participant.name: participant.client_id for participant in session.scalars(select(Participant))
    }
    assert holders == {"Rex": place.bob.id, "Anna Archer": ann.id}


def test_the_story_of_both_is_told_on_the_target(session: Session, place: Place) -> None:
    service.update_client(session, id=place.ann.id, actor=SYSTEM, phone="030 1234567")
    factories.make_lot(session, place.ann, factories.make_event_type(session), quantity=2)
    session.commit()
    merge(session, place.ann, place.bob)
    told = [item.verb for item in queries.story(session, place.bob.id, 50)]
    assert set(told) == {
        "merge_clients", "credits_transfer_in", "credits_transfer_out", "credits_grant", "update_client",
    }
    assert "merge_clients" not in [item.verb for item in queries.story(session, place.ann.id, 50)]


def household(session: Session, head: Client, *members: Client) -> Household:
    home = factories.make_household(session, head, *members)
    session.commit()
    return home


def test_the_target_takes_the_sources_place_in_the_household(session: Session, place: Place) -> None:
    cat = factories.make_client(session, club=place.north, first_name="Cat")
    home = household(session, place.ann, cat)
    merge(session, place.ann, place.bob)
    session.expire_all()
    assert (home.head_id, place.bob.household_id, place.bob.relationship_to_head) == (
        place.bob.id, home.id, "head",
    )
    assert (place.ann.household_id, place.ann.relationship_to_head) == (None, None)
    assert cat.household_id == home.id


@pytest.mark.parametrize("head", ["source", "target"])
def test_two_of_one_household_leave_one_member(session: Session, place: Place, head: str) -> None:
    pair = (place.ann, place.bob) if head == "source" else (place.bob, place.ann)
    home = household(session, *pair)
    merge(session, place.ann, place.bob)
    session.expire_all()
    assert (home.head_id, place.bob.relationship_to_head) == (place.bob.id, "head")
    assert session.scalars(select(Client.id).where(Client.household_id == home.id)).all() == [place.bob.id]


@pytest.mark.parametrize(("keep", "stays"), [({}, "target"), ({"household_id": "source"}, "source")])
def test_of_two_households_one_is_left(
    session: Session, place: Place, keep: dict[str, str], stays: str
) -> None:
    homes = {"source": household(session, place.ann), "target": household(session, place.bob)}
    home_id = homes[stays].id
    merge(session, place.ann, place.bob, keep=keep)
    session.expire_all()
    [left] = session.scalars(select(Household))
    assert (left.id, left.head_id, place.bob.household_id) == (home_id, place.bob.id, home_id)
    assert place.bob.relationship_to_head == "head"


def test_others_are_not_left_without_a_head(session: Session, place: Place) -> None:
    cat = factories.make_client(session, club=place.north)
    household(session, place.bob)
    household(session, place.ann, cat)
    with pytest.raises(HeadStays, match="another head first"):
        merge(session, place.ann, place.bob)
    assert session.scalars(select(Household)).all(), "nothing was written"


def test_a_double_click_merges_once(session: Session, place: Place) -> None:
    factories.make_lot(session, place.ann, factories.make_event_type(session), quantity=2)
    session.commit()
    first = merge(session, place.ann, place.bob, idempotency_key="once")
    assert merge(session, place.ann, place.bob, idempotency_key="once") == first
    with pytest.raises(IdempotencyMismatch):
        merge(session, place.ann, place.bob, idempotency_key="once", reason="another")
    assert list(credits.check_ledger(session)) == []


def test_who_cannot_be_merged(session: Session, place: Place) -> None:
    cat = factories.make_client(session, club=place.north)
    session.commit()
    with pytest.raises(CannotMerge):
        merge(session, place.ann, place.ann)
    merge(session, place.ann, place.bob)
    for pair in ((place.ann, cat), (cat, place.ann)):
        with pytest.raises(CannotMerge, match="merged already"):
            merge(session, *pair)
    with pytest.raises(ClientClosed):
        service.update_client(session, id=place.ann.id, actor=SYSTEM, archived=False)


@pytest.mark.parametrize(
    "over",
    [
        {"reason": ""}, {"reason": "x" * 501}, {"keep": {"archived": "source"}}, {"keep": {"email": "both"}},
    ],
)
def test_a_bad_merge_is_refused(session: Session, place: Place, over: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        merge(session, place.ann, place.bob, **over)
    assert place.ann.merged_into_id is None


def test_both_must_be_in_reach(session: Session, place: Place) -> None:
    for actor in (place.own_clients, place.own_clubs):
        for pair in ((place.ann, place.bob), (place.bob, place.ann)):
            with acting_as(session, actor), pytest.raises(NotFound):
                merge(session, *pair, actor=actor)
            with acting_as(session, actor), pytest.raises(NotFound):
                service.merge_plan(session, source_id=pair[0].id, target_id=pair[1].id)
    assert place.bob.merged_into_id is None


def test_a_team_member_merges_two_clients_of_their_own(session: Session, place: Place) -> None:
    twin = factories.make_client(session, club=place.north, team_member_id=place.nora.id)
    factories.make_lot(session, twin, factories.make_event_type(session), quantity=2)
    session.commit()
    with acting_as(session, place.own_clients):
        merge(session, twin, place.ann, actor=place.own_clients)
    assert sum(available(session, place.ann).values()) == 2
