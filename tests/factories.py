"""Records for tests: sensible, unique, written directly so that a test can start in any state.

Each function adds one record, flushes and returns it. What a record needs is made along with it unless given.
"""

import datetime as dt
import itertools
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy.orm import Session

from enrollment_addon.billing.models import Charge, MoneyAccount, Payment, Settlement
from enrollment_addon.billing.online.models import OnlinePayment, OnlinePaymentCharge
from enrollment_addon.catalog.models import ActivityLevel, ClassCategory, EventKind, EventType, Package, Semester
from enrollment_addon.credits.models import CreditBalance, CreditEntry, CreditLot, EntryKind
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.notices.models import Notice
from enrollment_addon.people.models import (
    Client,
    Club,
    Household,
    Participant,
    ParticipantKind,
    ReachChoice,
    Relationship,
    TeamMember,
)
from enrollment_addon.schedule.calc import BookingState, Pays, SessionKind
from enrollment_addon.schedule.models import Booking, ClassGroup, ClassGroupSlot, ScheduledSession
from enrollment_addon.training.models import Skill, TrainingReport

_numbers = itertools.count(1)


def _add(session: Session, model: type[Any], values: dict[str, Any], over: dict[str, Any]) -> Any:
    item = model(**{**values, **over})
    session.add(item)
    session.flush()
    return item


def make_user_row(session: Session, **over: Any) -> User:
    """A user of the host, without a password or roles."""
    number = next(_numbers)
    values = {
        "username": f"user{number}", "first_name": "Uma", "last_name": f"User {number}",
        "email": f"user{number}@example.org", "active": True,
    }
    user: User = _add(session, User, values, over)
    return user


def make_club(session: Session, **over: Any) -> Club:
    values = {"name": f"Club {next(_numbers)}", "timezone": "Europe/Berlin", "currency": "EUR"}
    club: Club = _add(session, Club, values, over)
    return club


def make_team_member(session: Session, **over: Any) -> TeamMember:
    """Reaches their own clients unless `scope` or `clubs` say otherwise."""
    user_id = over.pop("user_id", None) or make_user_row(session).id
    values = {"user_id": user_id, "name": f"Trainer {next(_numbers)}", "scope": ReachChoice.own_clients}
    member: TeamMember = _add(session, TeamMember, values, over)
    return member


def make_client(session: Session, *, club: Club | None = None, **over: Any) -> Client:
    number = next(_numbers)
    values: dict[str, Any] = {
        "first_name": "Cleo", "last_name": f"Client {number:05}",
        "email": f"client{number}@example.org", "tags": [],
    }
    if "club_id" not in over:
        values["club_id"] = (club or make_club(session)).id
    client: Client = _add(session, Client, values, over)
    return client


def make_participant(session: Session, client: Client, **over: Any) -> Participant:
    values = {"client_id": client.id, "name": f"Kim {next(_numbers)}", "kind": ParticipantKind.child}
    participant: Participant = _add(session, Participant, values, over)
    return participant


def make_household(session: Session, head: Client, *members: Client, **over: Any) -> Household:
    """A household of a head and further members (as partners)."""
    values = {"name": f"Home {next(_numbers)}", "head_id": head.id}
    household: Household = _add(session, Household, values, over)
    for client in (head, *members):
        client.household_id = household.id
        client.relationship_to_head = Relationship.head if client is head else Relationship.partner
    session.flush()
    return household


def make_event_type(session: Session, **over: Any) -> EventType:
    values = {"name": f"Class {next(_numbers)}", "kind": EventKind.klass, "duration_minutes": 60}
    event_type: EventType = _add(session, EventType, values, over)
    return event_type


def make_charge(session: Session, client: Client, *, gross: int = 4500, **over: Any) -> Charge:
    """An open charge of a client who has paid nothing for it, without tax."""
    _make_account(session, client)
    values = {
        "client_id": client.id, "what": f"Lesson {next(_numbers)}", "gross": gross, "net": gross, "tax": 0,
        "tax_rate": 0, "currency": "EUR", "due_on": dt.date(2026, 1, 5),
    }
    charge: Charge = _add(session, Charge, values, over)
    return charge


def make_payment(session: Session, client: Client, *, amount: int = 5000, charge: Charge, **over: Any) -> Payment:
    """A payment that settles half of a charge; the rest is on account, as the service leaves it."""
    half = charge.gross // 2
    values = {
        "client_id": client.id, "amount": amount, "currency": "EUR", "method": "cash", "settled": half,
        "paid_on": dt.date(2026, 1, 5),
    }
    payment: Payment = _add(session, Payment, values, over)
    _add(session, Settlement, {
        "client_id": client.id, "payment_id": payment.id, "charge_id": charge.id, "amount": half
    }, {})
    charge.settled = half
    _make_account(session, client).on_account += amount - half
    session.flush()
    return payment


def make_online_payment(session: Session, charge: Charge, **over: Any) -> OnlinePayment:
    """A request to pay a charge online that was cancelled, so that nobody is asked what became of it."""
    number = next(_numbers)
    at = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    values = {
        "client_id": charge.client_id, "amount": charge.open, "currency": charge.currency, "state": "cancelled",
        "reference": f"reference {number}", "checkout_id": f"cs_{number}", "ends_at": at, "closed_at": at,
    }
    request: OnlinePayment = _add(session, OnlinePayment, values, over)
    _add(session, OnlinePaymentCharge, {
        "online_payment_id": request.id, "charge_id": charge.id, "client_id": charge.client_id,
        "amount": request.amount,
    }, {})
    return request


def _make_account(session: Session, client: Client) -> MoneyAccount:
    account = session.get(MoneyAccount, (client.id, "EUR"))
    if account is None:
        account = MoneyAccount(client_id=client.id, currency="EUR", on_account=0)
        session.add(account)
        session.flush()
    return account


def make_lot(
    session: Session, client: Client, event_type: EventType, *, quantity: int = 10, **over: Any
) -> CreditLot:
    """A lot with its grant in the ledger and in the balance, as the service leaves them."""
    values = {
        "client_id": client.id, "event_type_id": event_type.id, "quantity": quantity, "available": quantity,
        "currency": "EUR",
    }
    lot: CreditLot = _add(session, CreditLot, values, over)
    session.add(
        CreditEntry(
            lot_id=lot.id, client_id=client.id, event_type_id=event_type.id, kind=EntryKind.grant,
            available_change=quantity,
        )
    )
    balance = session.get(CreditBalance, (client.id, event_type.id))
    if balance is None:
        balance = CreditBalance(client_id=client.id, event_type_id=event_type.id, available=0)
        session.add(balance)
    balance.available += quantity
    session.flush()
    return lot


def make_package(session: Session, event_type: EventType, **over: Any) -> Package:
    values = {
        "name": f"Package {next(_numbers)}", "event_type_id": event_type.id, "sessions": 10, "price": 10_000,
        "currency": "EUR",
    }
    package: Package = _add(session, Package, values, over)
    return package


def make_enrollment(session: Session, client: Client, package: Package, **over: Any) -> Enrollment:
    """An enrollment in a package as a record only: without its lot and its charge."""
    values = {
        "client_id": client.id, "club_id": client.club_id, "package_id": package.id,
        "event_type_id": package.event_type_id, "total": package.sessions, "price": package.price,
        "currency": package.currency, "begins_on": dt.date(2026, 3, 1),
    }
    enrollment: Enrollment = _add(session, Enrollment, values, over)
    return enrollment


def make_session(session: Session, club: Club, event_type: EventType, **over: Any) -> ScheduledSession:
    """An appointment of one hour."""
    starts_at = over.pop("starts_at", dt.datetime(2026, 3, 2, 16, tzinfo=dt.UTC))
    values = {
        "kind": SessionKind.appointment, "event_type_id": event_type.id, "club_id": club.id,
        "starts_at": starts_at, "ends_at": starts_at + dt.timedelta(hours=1),
    }
    item: ScheduledSession = _add(session, ScheduledSession, values, over)
    return item


def make_booking(session: Session, item: ScheduledSession, participant: Participant, **over: Any) -> Booking:
    """A place that nothing pays for, of somebody who was there."""
    values = {
        "client_id": participant.client_id, "participant_id": participant.id, "session_id": item.id,
        "state": BookingState.attended, "live": True, "pays": Pays.nothing,
    }
    booking: Booking = _add(session, Booking, values, over)
    return booking


def make_notice(session: Session, client: Client, **over: Any) -> Notice:
    """A client is to be told that they have a place."""
    details = {
        "session": "Evening yoga", "club": "Uptown", "timezone": "Europe/Berlin",
        "starts_at": "2026-03-04T17:00:00+00:00",
    }
    notice: Notice = _add(session, Notice, {"client_id": client.id, "kind": "place_given", "details": details}, over)
    return notice


def make_skill(session: Session, **over: Any) -> Skill:
    skill: Skill = _add(session, Skill, {"name": f"Skill {next(_numbers)}"}, over)
    return skill


def make_training_report(session: Session, participant: Participant, **over: Any) -> TrainingReport:
    """A report on a session or an enrollment, which `over` names."""
    values = {
        "client_id": participant.client_id, "participant_id": participant.id, "held_on": dt.date(2026, 3, 2),
        "worked_on": "Turning on both sides",
    }
    report: TrainingReport = _add(session, TrainingReport, values, over)
    return report


def make_class_group(session: Session, club: Club, event_type: EventType, **over: Any) -> ClassGroup:
    """A class on Mondays at 17:00, as a record only: without sessions."""
    values = {
        "name": f"Group {next(_numbers)}", "club_id": club.id, "event_type_id": event_type.id, "capacity": 10,
        "first_date": dt.date(2026, 3, 2),
    }
    group: ClassGroup = _add(session, ClassGroup, values, over)
    _add(
        session, ClassGroupSlot,
        {"class_group_id": group.id, "weekday": 0, "starts_at_time": dt.time(17), "duration_minutes": 60}, {},
    )
    session.refresh(group)
    return group


def make_class_records(session: Session) -> dict[str, int]:
    """A class category, an activity level and a semester; their keys by page."""
    category = _add(session, ClassCategory, {"name": f"Category {next(_numbers)}"}, {})
    level = _add(session, ActivityLevel, {"name": f"Level {next(_numbers)}"}, {})
    days = {"first_date": dt.date(2026, 1, 1), "last_date": dt.date(2026, 6, 30)}
    semester = _add(session, Semester, {"name": f"Semester {next(_numbers)}", **days}, {})
    return {"ClassCategoryView": category.id, "ActivityLevelView": level.id, "SemesterView": semester.id}
