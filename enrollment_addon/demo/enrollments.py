"""Packages of the demonstration, and enrollments in every state a desk meets."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..billing import service as billing
from ..catalog.service import create_package
from ..core import clock
from ..enrollments import queries
from ..enrollments import service as enrollments
from ..enrollments.models import Enrollment
from ..people.models import Club

if TYPE_CHECKING:
    from .data import Demo

LIMITS = enrollments.PauseLimits(4, 90)
SHARE = 8
"""Percent of a club's clients who bought a package."""
PACKAGES: Sequence[tuple[str, int, int, str, int | None, dict[str, str]]] = (
    ("Yoga ten", 0, 10, "140", 180,
     {"es": "Bono de 10 yogas", "fr": "Dix cours de yoga", "de": "Zehnerkarte Yoga", "ar": "عشر حصص يوغا"}),
    ("Personal training five", 4, 5, "320", 120,
     {"es": "Cinco entrenamientos", "fr": "Cinq coachings", "de": "Fünf Personal Trainings", "ar": "خمس جلسات تدريب"}),
    ("Piano year", 5, 40, "1120", 365,
     {"es": "Piano anual", "fr": "Piano à l’année", "de": "Klavierjahr", "ar": "سنة بيانو"}),
)
"""Name, event type, sessions, price in any club's currency, days of validity, names in other languages."""


def add_enrollments(demo: "Demo") -> None:
    """Packages at every club; each client who buys one goes on to another fate, in turn."""
    fates = tuple(FATES.values())
    sold = 0
    for club_id, clients in demo.clients.items():
        packages = _add_packages(demo, club_id)
        for client_id in clients[: max(len(FATES), len(clients) * SHARE // 100)]:
            with demo.days_ago(40):
                item = enrollments.create_enrollment(
                    demo.session, client_id=client_id, package_id=packages[sold % len(packages)], actor=demo.actor
                )
                key = item.id
                if sold % 5:
                    billing.take_payment(
                        demo.session, client_id=client_id, amount=item.price, method="card", actor=demo.actor,
                        charge_ids=[charge.id for charge in queries.open_charges(demo.session, item.id)],
                    )
            fates[sold % len(fates)](demo, key)
            sold += 1


def _add_packages(demo: "Demo", club_id: int) -> list[int]:
    with demo.days_ago(120):
        club = demo.session.scalars(select(Club).where(Club.id == club_id)).one()
        return [
            create_package(
                demo.session, actor=demo.actor, name=name, event_type_id=demo.event_type_ids[event_type],
                sessions=sessions, price=price, currency=club.currency, valid_days=days, club_ids=[club_id],
                translations={"name": names},
            ).id
            for name, event_type, sessions, price, days, names in PACKAGES
        ]


def _go_on(demo: "Demo", key: int) -> None:
    """Nothing happens: it is active."""


def _raise(demo: "Demo", key: int) -> None:
    with demo.days_ago(20):
        item = demo.session.get_one(Enrollment, key)
        enrollments.update_sessions(
            demo.session, enrollment_id=key, total=item.total + 2, charge_amount="30", actor=demo.actor
        )


def _pause(demo: "Demo", key: int) -> None:
    with demo.days_ago(3):
        enrollments.pause_enrollment(
            demo.session, enrollment_id=key, ends_on=_day(10), reason="Holiday", actor=demo.actor, limits=LIMITS
        )


def _plan_pause(demo: "Demo", key: int) -> None:
    with demo.days_ago(1):
        enrollments.pause_enrollment(
            demo.session, enrollment_id=key, begins_on=_day(20), ends_on=_day(33), reason="Operation",
            actor=demo.actor, limits=LIMITS,
        )


def _come_back(demo: "Demo", key: int) -> None:
    with demo.days_ago(25):
        enrollments.pause_enrollment(
            demo.session, enrollment_id=key, ends_on=_day(13), reason="Ill", actor=demo.actor, limits=LIMITS
        )
    with demo.days_ago(15):
        enrollments.resume_enrollment(demo.session, enrollment_id=key, actor=demo.actor)


def _complete(unused: str) -> Callable[["Demo", int], None]:
    def complete(demo: "Demo", key: int) -> None:
        with demo.days_ago(10):
            enrollments.complete_enrollment(demo.session, enrollment_id=key, unused=unused, actor=demo.actor)

    return complete


def _cancel(refund: str, reason: str) -> Callable[["Demo", int], None]:
    def cancel(demo: "Demo", key: int) -> None:
        with demo.days_ago(8):
            enrollments.cancel_enrollment(
                demo.session, enrollment_id=key, refund=refund, reason=reason, actor=demo.actor
            )

    return cancel


def _cancel_and_undo(demo: "Demo", key: int) -> None:
    _cancel("none", "Clicked the wrong one")(demo, key)
    with demo.days_ago(7.9):
        enrollments.undo_enrollment(demo.session, enrollment_id=key, reason="By mistake", actor=demo.actor)


def _renew(demo: "Demo", key: int) -> None:
    with demo.days_ago(2):
        enrollments.renew_enrollment(demo.session, enrollment_id=key, actor=demo.actor)


def _delete(demo: "Demo", key: int) -> None:
    """Only what nobody paid for can be deleted: a full refund comes first."""
    _cancel("full", "Sold to the wrong client")(demo, key)
    with demo.days_ago(7):
        enrollments.delete_enrollment(
            demo.session, enrollment_id=key, reason="Sold to the wrong client", actor=demo.actor
        )


def _day(after: int) -> dt.date:
    return clock.now().date() + dt.timedelta(days=after)


FATES: Mapping[str, Callable[["Demo", int], None]] = {
    "active": _go_on,
    "raised": _raise,
    "paused": _pause,
    "cancelled": _cancel("partial", "Moves away"),
    "completed": _complete("keep"),
    "planned pause": _plan_pause,
    "undone": _cancel_and_undo,
    "refunded": _cancel("full", "Does not fit"),
    "renewed": _renew,
    "voided": _complete("void"),
    "resumed": _come_back,
    "deleted": _delete,
}
