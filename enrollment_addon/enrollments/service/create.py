"""Selling a package, and selling it again."""

import datetime as dt
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...catalog.models import Package
from ...catalog.queries import sold_at
from ...core import clock
from ...core.db import require
from ...core.errors import InvalidInput
from ...core.fields import clean, date
from ...core.scope import Actor
from ...people.errors import ClientClosed
from ...people.models import Client, Participant
from .. import calc
from ..calc import Kind, Status
from ..errors import NotSold
from ..models import Enrollment
from .steps import add_sessions, charge, lock, note, once, today_at, value_of_one

FIRST_DAY = dt.date(2000, 1, 1)
LATEST_BEGIN_DAYS = 3660
_RULES = {"begins_on": date(FIRST_DAY, lambda: clock.today("UTC") + dt.timedelta(days=LATEST_BEGIN_DAYS))}


def create_enrollment(
    session: Session,
    *,
    client_id: int,
    package_id: int,
    actor: Actor,
    participant_id: int | None = None,
    begins_on: dt.date | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """Sell a package to a client: their sessions are one lot for this enrollment alone, the price is a charge.

    Without a participant anyone of the client may come. Raises: NotFound, InvalidInput, NotSold, ClientClosed.
    """
    begins_on = clean({"begins_on": begins_on}, _RULES)["begins_on"]
    asked: dict[str, Any] = {
        "client_id": client_id, "package_id": package_id, "participant_id": participant_id, "begins_on": begins_on,
    }

    def create() -> int:
        return _create(session, **asked, verb="create_enrollment", renewed_from_id=None, actor=actor).id

    return once(session, key=idempotency_key, verb="create_enrollment", asked=asked, do=create)


def renew_enrollment(
    session: Session, *, enrollment_id: int, actor: Actor, begins_on: dt.date | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """Sell the same package again at its present price, from the day after the current end, or from now.

    Raises: NotFound, InvalidInput, NotSold, EnrollmentDeleted.
    """
    begins_on = clean({"begins_on": begins_on}, _RULES)["begins_on"]

    def renew() -> int:
        old = lock(session, enrollment_id)
        if old.package_id is None:
            raise NotSold
        new = _create(
            session, client_id=old.client_id, package_id=old.package_id, participant_id=old.participant_id,
            begins_on=begins_on or next_begin(old), verb="renew_enrollment", renewed_from_id=old.id, actor=actor,
        )
        return new.id

    asked = {"enrollment_id": enrollment_id, "begins_on": begins_on}
    return once(session, key=idempotency_key, verb="renew_enrollment", asked=asked, do=renew)


def next_begin(old: Enrollment) -> dt.date:
    """The day after an enrollment that still runs, else today."""
    today: dt.date = today_at(old)
    runs = old.status in (Status.active, Status.paused) and old.ends_on is not None and old.ends_on >= today
    return old.ends_on + dt.timedelta(days=1) if runs and old.ends_on else today


def _create(
    session: Session, *, client_id: int, package_id: int, participant_id: int | None, begins_on: dt.date | None,
    verb: str, renewed_from_id: int | None, actor: Actor,
) -> Enrollment:
    client = require(session, Client, client_id)
    if client.erased_at is not None or client.merged_into_id is not None:
        raise ClientClosed
    if client.archived:
        raise InvalidInput(fields={"client_id": _l("This client is archived.")})
    _check_participant(session, client, participant_id)
    package = require(session, Package, package_id)
    sold = select(Package.id).where(Package.id == package_id, Package.active, sold_at(client.club_id))
    if session.scalar(sold) is None:
        raise NotSold(fields={"package_id": NotSold.message})
    today = clock.today(client.club.timezone)
    begins_on = begins_on or today
    ends_on = calc.end_of(begins_on, package.valid_days)
    if ends_on is not None and ends_on < today:
        raise InvalidInput(fields={"begins_on": _l("Sessions from that day on have expired already.")})
    item = Enrollment(
        kind=Kind.package, status=Status.active, client_id=client.id, participant_id=participant_id,
        club_id=client.club_id, package_id=package.id, event_type_id=package.event_type_id,
        total=package.sessions, price=package.price, currency=package.currency, begins_on=begins_on,
        ends_on=ends_on, renewed_from_id=renewed_from_id,
        created_by_id=actor.user_id,
    )
    session.add(item)
    session.flush()
    add_sessions(session, item, item.total, unit_value=value_of_one(item), actor=actor)
    charge(session, item, package.name, item.price, actor=actor)
    details: dict[str, Any] = {"package": package.name, "total": item.total, "price": item.price}
    note(session, item, verb, None, actor=actor, currency=item.currency, **details)
    return item


def _check_participant(session: Session, client: Client, participant_id: int | None) -> None:
    if participant_id is None:
        return
    own = select(Participant.id).where(Participant.id == participant_id, Participant.client_id == client.id)
    if session.scalar(own) is None:
        raise InvalidInput(fields={"participant_id": _l("Please choose a participant of this client.")})
