"""The verbs that write packages."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core import money
from ...core.audit import record_event
from ...core.db import require
from ...core.errors import InvalidInput
from ...core.fields import Wrong, clean, flag, text, whole
from ...core.fields import key as key_rule
from ...core.holders import Finder, Holders, delete_unheld
from ...core.scope import Actor
from ...core.translations import set_translations
from ...people.models import Club
from ..models import EventType, Package, package_clubs
from .names import forget_translations, translations

package_holders = Holders()


def event_types_in_packages(session: Session, keys: list[int]) -> set[int]:
    """The event types among these that a package is for: such a one can't be deleted."""
    found = select(Package.event_type_id).where(Package.event_type_id.in_(keys)).distinct()
    return set(session.connection().execute(found).scalars())


def clubs_of_packages(session: Session, keys: list[int]) -> set[int]:
    """The clubs among these that are the only one of a package: without it the package would be sold everywhere."""
    only = select(package_clubs.c.package_id).group_by(package_clubs.c.package_id).having(func.count() == 1)
    found = select(package_clubs.c.club_id).where(
        package_clubs.c.club_id.in_(keys), package_clubs.c.package_id.in_(only)
    )
    return set(session.connection().execute(found.distinct()).scalars())


def register_package_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which packages it holds; those can't be deleted."""
    package_holders.register(label, finder)


def _currency(value: Any) -> str:
    if value not in money.currencies():
        raise Wrong(_l("Choose a currency by its ISO 4217 code, such as EUR."))
    return str(value)


def _price(value: Any) -> Decimal | str | int:
    """Left as it is until the currency is known."""
    if not isinstance(value, Decimal | str | int) or isinstance(value, bool):
        raise Wrong(_l("Please enter an amount of 0 or more."))
    return value


def _club_ids(value: Any) -> list[int]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(_l("Choose clubs by their keys."))
    return sorted({key_rule(required=True)(item) for item in value})


def _valid_days(value: Any) -> int | None:
    return None if value is None else whole(1, 3650)(value)  # type: ignore[no-any-return]


_RULES = {
    "name": text(120, required=True),
    "description": text(500, lines=True),
    "event_type_id": key_rule(required=True),
    "sessions": whole(1, 1000),
    "price": _price,
    "currency": _currency,
    "valid_days": _valid_days,
    "active": flag,
    "club_ids": _club_ids,
    "translations": translations({"name": 120, "description": 500}),
}


def create_package(session: Session, *, actor: Actor, **fields: Any) -> Package:
    """Add a package; without clubs it is sold at every club of its currency.

    `price` is an amount in `currency`. Raises: InvalidInput.
    """
    values = clean(fields, _RULES, required=("name", "event_type_id", "sessions", "price", "currency"))
    package = Package(currency=values["currency"])
    _write(session, package, values)
    record_event(session, actor=actor, verb="create_package", record="package", record_id=package.id)
    return package


def update_package(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Package:
    """Change a package; fields not named stay, and so does everything for those who are enrolled.

    Raises: NotFound, InvalidInput.
    """
    package = require(session, Package, id, lock=True)
    values = clean(changed_fields, _RULES)
    if "price" not in values:
        values["price"] = money.to_decimal(package.price, package.currency)
    _write(session, package, values)
    record_event(
        session, actor=actor, verb="update_package", record="package", record_id=id, fields=sorted(changed_fields),
    )
    return package


def delete_package(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a package that nobody was ever enrolled in. Raises: NotFound, InUse."""
    package = require(session, Package, id, lock=True)
    package_holders.refuse(session, id)
    forget_translations(session, Package, id)
    delete_unheld(session, package)
    record_event(session, actor=actor, verb="delete_package", record="package", record_id=id)


def _write(session: Session, package: Package, values: dict[str, Any]) -> None:
    """Put checked values into a package, the price in minor units of its currency. Raises: InvalidInput."""
    names = values.pop("translations", {})
    club_ids = values.pop("club_ids", None)
    package.currency = values.pop("currency", package.currency)
    package.price = money.from_field(values.pop("price"), package.currency, "price")
    for name, value in values.items():
        setattr(package, name, value)
    if session.scalar(select(EventType.id).where(EventType.id == package.event_type_id)) is None:
        raise InvalidInput(fields={"event_type_id": _l("Please choose one of the list.")})
    if club_ids is not None:
        package.clubs = _clubs(session, club_ids)
    other = [club.name for club in package.clubs if club.currency != package.currency]
    if other:
        raise InvalidInput(
            fields={"club_ids": _l("The currency of %(clubs)s is another one.", clubs=", ".join(other))}
        )
    session.add(package)
    session.flush()
    set_translations(session, package, names)
    session.flush()


def _clubs(session: Session, keys: list[int]) -> list[Club]:
    found = list(session.scalars(select(Club).where(Club.id.in_(keys)).order_by(Club.name)))
    if len(found) != len(keys):
        raise InvalidInput(fields={"club_ids": _l("Please choose one of the list.")})
    return found
