"""A small studio for the tests of credits."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import service
from enrollment_addon.credits.models import balances, entries, lots
from tests import factories

NOON = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
SIZES = {"threshold": 500, "chunk": 10_000}


class Studio:
    """Two clubs in one time zone, one event type, and short ways to act on them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        with unit_of_work(session):
            self.club = factories.make_club(session, timezone="Europe/Berlin", currency="EUR")
            self.event_type = factories.make_event_type(session)
        self.club_id, self.type_id = self.club.id, self.event_type.id

    @property
    def today(self) -> dt.date:
        return clock.today("Europe/Berlin")

    def clients(self, count: int, **over: Any) -> list[int]:
        with unit_of_work(self.session):
            return [
                factories.make_client(self.session, **{"club_id": self.club_id, **over}).id for _ in range(count)
            ]

    def grant(self, clients: Any, quantity: int = 2, **over: Any) -> dict[str, Any]:
        options = {"event_type_id": self.type_id, "quantity": quantity, "actor": SYSTEM, **SIZES, **over}
        with unit_of_work(self.session):
            return service.grant_credits(self.session, clients=clients, **options)

    def plan(self, clients: Any, quantity: int = 2, **over: Any) -> service.GrantPlan:
        options = {"event_type_id": self.type_id, "quantity": quantity, "actor": SYSTEM, **over}
        return service.plan_grant(self.session, clients=clients, **options)

    def reserve(self, client_id: int, booking_id: int, **over: Any) -> Any:
        options = {"event_type_id": self.type_id, "on": self.today, "actor": SYSTEM, **over}
        with unit_of_work(self.session):
            return service.reserve_credits(self.session, client_id=client_id, booking_id=booking_id, **options)

    def act(self, verb: str, booking_id: int, **over: Any) -> Any:
        with unit_of_work(self.session):
            return getattr(service, f"{verb}_credits")(
                self.session, booking_id=booking_id, **{"actor": SYSTEM, **over}
            )

    def release(self, booking_id: int, **over: Any) -> Any:
        return self.act("release", booking_id, **{"today": self.today, "grace_days": 14, **over})

    def void(self, lot_ids: list[int], **over: Any) -> dict[str, int]:
        with unit_of_work(self.session):
            done = service.void_lots(
                self.session, lot_ids=lot_ids, **{"reason": "by mistake", "actor": SYSTEM, **over}
            )
        return {"voided": done["voided"]}

    def move(self, verb: str, **over: Any) -> dict[str, Any]:
        """Transfer, convert or extend."""
        if verb == "extend_lots":
            over = {**SIZES, **over}
        with unit_of_work(self.session):
            return getattr(service, verb)(self.session, **{"reason": "as agreed", "actor": SYSTEM, **over})

    def undo(self, batch_id: int, **over: Any) -> dict[str, Any]:
        options = {"reason": "wrong list", "actor": SYSTEM, **SIZES, **over}
        with unit_of_work(self.session):
            return service.undo_batch(self.session, batch_id=batch_id, **options)

    def lots(self, *client_ids: int) -> list[Any]:
        where = lots.c.client_id.in_(client_ids) if client_ids else True
        query = select(lots).order_by(lots.c.client_id, lots.c.id)
        with unit_of_work(self.session):
            return list(self.session.execute(query.where(where) if client_ids else query).all())

    def balance(self, client_id: int) -> tuple[int, int, int] | None:
        """Available, reserved, used."""
        query = select(balances.c.available, balances.c.reserved, balances.c.used)
        with unit_of_work(self.session):
            row = self.session.execute(
                query.where(balances.c.client_id == client_id, balances.c.event_type_id == self.type_id)
            ).one_or_none()
        return tuple(row) if row else None

    def kinds(self, client_id: int) -> list[str]:
        query = select(entries.c.kind).where(entries.c.client_id == client_id).order_by(entries.c.id)
        with unit_of_work(self.session):
            return list(self.session.execute(query).scalars())

    def findings(self, **options: Any) -> list[service.Finding]:
        with unit_of_work(self.session):
            return list(service.check_ledger(self.session, **options))


@pytest.fixture
def studio(session: Session) -> Studio:
    return Studio(session)


@pytest.fixture
def sound(studio: Studio) -> Callable[[], bool]:
    """Whether every lot and balance is what the ledger says."""
    return lambda: studio.findings() == []


@pytest.fixture
def ada(studio: Studio) -> Iterator[Actor]:
    """Somebody who reaches everything, at noon of a day."""
    with unit_of_work(studio.session):
        user = factories.make_user_row(studio.session).id
    with clock.frozen(NOON):
        yield Actor(user_id=user, reach=Reach.everything)
