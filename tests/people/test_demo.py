"""The demo's data: rich, sound and the same every time."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.billing.models import Charge, MoneyAccount, Refund
from enrollment_addon.billing.service import check_money
from enrollment_addon.core import scope
from enrollment_addon.core.translations import Translation
from enrollment_addon.credits.models import CreditEntry, CreditLot, EntryKind
from enrollment_addon.credits.service import check_ledger
from enrollment_addon.demo import data
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.people.models import Client, Club, Household, Participant, ReachChoice, TeamMember
from enrollment_addon.schedule.models import Booking, ClassGroup
from enrollment_addon.training.models import TrainingReport
from tests import factories
from tests.servers import connect


def fill(session: Session, clients: int, **over: Any) -> int:
    """Load the demo; how many clients its progress told of."""
    names = [*(user for user, *_ in data.TEAM), "client"]
    users = {name: factories.make_user_row(session, username=name).id for name in names}
    session.commit()
    told: list[int] = []
    data.load(session, users=users, clients=clients, progress=told.append, **over)
    return sum(told)


def test_there_is_something_of_everything_and_the_past_is_in_the_past(session: Session) -> None:
    assert fill(session, 120) == 120
    assert session.scalar(select(func.count(Client.id))) == 120
    assert set(session.scalars(select(Club.currency))) == {"EUR", "USD", "AED"}
    assert len(session.scalars(select(TeamMember.id)).all()) == 12
    assert set(session.scalars(select(TeamMember.scope))) == set(ReachChoice)
    assert set(session.scalars(select(Participant.kind))) == {"self", "child", "pet"}
    assert session.scalar(select(func.count(Household.id))) > 3
    assert set(session.scalars(select(CreditEntry.kind))) == set(EntryKind) - {
        EntryKind.transfer_in, EntryKind.transfer_out, EntryKind.restore,
    }
    for state in ("available", "reserved", "used", "expired", "voided"):
        assert session.scalar(select(func.sum(getattr(CreditLot, state)))) > 0, state
    assert session.scalars(select(CreditLot.id).where(CreditLot.expires_on.is_(None))).first()
    assert set(session.scalars(select(Charge.status))) == {"open", "paid", "void"}
    assert session.scalar(select(func.sum(Refund.amount))) > 0
    assert session.scalar(select(func.sum(MoneyAccount.on_account))) > 0
    assert list(check_money(session)) == []
    assert set(session.scalars(select(Booking.state))) >= {"booked", "waitlisted", "attended", "no_show", "cancelled"}
    assert set(session.scalars(select(Enrollment.status))) == {"active", "paused", "completed", "cancelled"}
    assert session.scalars(select(Enrollment.id).where(Enrollment.deleted_at.is_not(None))).first()
    reports = session.scalars(select(TrainingReport)).all()
    assert {report.visible_to_client for report in reports} == {True, False}
    assert {report.enrollment_id is None for report in reports} == {True, False}, "on enrollments and on classes"
    assert len(reports[0].ratings) == 3
    named = select(func.count()).where(Translation.record == ClassGroup.__tablename__)
    assert session.scalar(named) == 4 * session.query(ClassGroup).count() > 0, "classes have names in each language"
    portal = session.scalars(select(Client).where(Client.portal_user_id.is_not(None))).one()
    assert portal.full_name == "Maya Fischer"
    assert list(check_ledger(session)) == []
    _the_past_is_in_the_past(session)


def _the_past_is_in_the_past(session: Session) -> None:
    grants = session.execute(select(func.min(CreditLot.granted_at), func.max(CreditLot.granted_at))).one()
    assert 150 < (grants[1] - grants[0]).days < 250
    ordered = session.scalars(select(CreditEntry.at).order_by(CreditEntry.lot_id, CreditEntry.id)).all()
    by_lot = session.scalars(select(CreditEntry.at).order_by(CreditEntry.lot_id, CreditEntry.at)).all()
    assert ordered == by_lot, "no lot is used before it was granted"


@pytest.mark.databases("sqlite")
def test_the_same_seed_gives_the_same_people(new_database: Callable[..., str]) -> None:
    def people(seed: int) -> list[Any]:
        engine = connect(new_database())
        factory = sessionmaker(engine, info={scope.ACTOR: scope.SYSTEM})
        scope.install(factory)
        with factory() as session:
            fill(session, 40, seed=seed)
            found = select(Client.first_name, Client.last_name, Client.email, Client.phone, Client.tags)
            lots = select(CreditLot.client_id, CreditLot.available, CreditLot.used)
            rows = [*session.execute(found.order_by(Client.id)), *session.execute(lots.order_by(CreditLot.id))]
        engine.dispose()
        return rows

    first = people(7)
    assert people(7) == first != people(8)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("clients", [1, 2])
def test_a_tiny_demo_works_too(session: Session, clients: int) -> None:
    assert fill(session, clients) == clients
    assert session.scalar(select(func.count(Client.id))) == clients
