"""What money tells people: whom and what it holds, and how it moves, is erased and exported."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from ..core.db import insert_new
from ..core.scope import Actor
from ..people import hooks
from ..people.calc import ERASED, redacted
from ..people.models import Client, Club
from .models import accounts, charges, payments, refunds, settlements
from .online.models import online_payment_charges, online_payments, online_refunds

_MOVED = (
    charges, payments, settlements, refunds, online_payments, online_payment_charges, online_refunds,
)
_TEXTS = ((charges, "what"), (payments, "reference"))
"""Needed to understand the money; only what names the client goes."""
_REASONS = ((charges, "void_reason"), (refunds, "reason"))
"""Said about the client; goes whole."""


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    label = _l("charges and payments")
    hooks.register_client_holder(label, _clients_with_money)
    hooks.register_club_amounts(label, _clubs_with_money)
    hooks.register_merge_step("money", MoneyMerge())
    hooks.register_erasure("money", erase_money_texts)
    for name, table in (
        ("charges", charges), ("payments", payments), ("settlements", settlements), ("refunds", refunds),
        ("online_payments", online_payments), ("online_refunds", online_refunds),
    ):
        hooks.register_export_section(name, _exported(table))


def _clients_with_money(session: Session, keys: list[int]) -> set[int]:
    """Whoever ever had a charge or a payment has an account."""
    return set(session.connection().execute(
        select(accounts.c.client_id).where(accounts.c.client_id.in_(keys)).distinct()
    ).scalars())


def _clubs_with_money(session: Session, keys: list[int]) -> set[int]:
    clients, clubs = Client.__table__, Club.__table__
    held = (
        select(accounts.c.client_id)
        .join(clients, clients.c.id == accounts.c.client_id)
        .where(clients.c.club_id == clubs.c.id, accounts.c.currency == clubs.c.currency)
    )
    return set(session.connection().execute(
        select(clubs.c.id).where(clubs.c.id.in_(keys), held.exists())
    ).scalars())


class MoneyMerge:
    """Everything goes over: charges, payments and what is on account."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """How many charges and payments each of the two has."""
        shown = []
        for label, table in ((_l("Charges"), charges), (_l("Payments"), payments)):
            rows = session.execute(
                select(table.c.client_id, func.count())
                .where(table.c.client_id.in_((source_id, target_id)))
                .group_by(table.c.client_id)
            )
            counts = {row[0]: row[1] for row in rows}
            if moving := counts.get(source_id, 0):
                has = counts.get(target_id, 0)
                shown.append({"label": str(label), "source": moving, "target": has, "after": moving + has})
        return hooks.MergePart(shown)

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        """Hand the rows over, both accounts locked; the source keeps none."""
        held = self._lock_accounts(session, source_id, target_id)
        moved = {}
        for table in _MOVED:
            result = session.execute(
                update(table).where(table.c.client_id == source_id).values(client_id=target_id)
            )
            moved[table.name.removeprefix("enrollment_") + "s"] = result.rowcount  # type: ignore[attr-defined]
        for currency, on_account in held.items():
            session.execute(
                update(accounts)
                .where(accounts.c.client_id == target_id, accounts.c.currency == currency)
                .values(on_account=accounts.c.on_account + on_account)
            )
        session.execute(delete(accounts).where(accounts.c.client_id == source_id))
        session.expire_all()
        return moved

    def _lock_accounts(self, session: Session, source_id: int, target_id: int) -> dict[str, int]:
        """Lock the accounts of both in key order, making the target's; what the source has on each."""
        currencies = session.execute(
            select(accounts.c.currency).where(accounts.c.client_id == source_id).order_by(accounts.c.currency)
        ).scalars().all()
        for currency in currencies:
            key = {"client_id": target_id, "currency": currency}
            insert_new(session, accounts, {**key, "on_account": 0}, list(key))
        rows = session.execute(
            select(accounts)
            .where(accounts.c.client_id.in_((source_id, target_id)))
            .order_by(accounts.c.client_id, accounts.c.currency)
            .with_for_update()
        ).all()
        return {row.currency: row.on_account for row in rows if row.client_id == source_id}


def erase_money_texts(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Blank the reasons and take the name out of the other texts; amounts and days stay.

    Links to a provider's page go too: the page shows the e-mail address it was made for, and ends within a day.
    """
    session.execute(update(online_payments).where(online_payments.c.client_id == client_id).values(url=None))
    for table, column in _REASONS:
        session.execute(
            update(table)
            .where(table.c.client_id == client_id, table.c[column].is_not(None))
            .values({column: ERASED})
        )
    for table, column in _TEXTS:
        told = session.execute(
            select(table.c.id, table.c[column]).where(table.c.client_id == client_id, table.c[column].is_not(None))
        )
        for key, text in told.all():
            if (cleaned := redacted(text, needles)) != text:
                session.execute(update(table).where(table.c.id == key).values({column: cleaned}))


def _exported(table: Any) -> hooks.ExportSection:
    def plain(value: Any) -> Any:
        return str(value) if isinstance(value, Decimal) else hooks.plain(value)

    def section(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
        found = session.execute(
            select(table).where(table.c.client_id.in_(client_ids)).order_by(table.c.id)
        ).mappings()
        return [{name: plain(value) for name, value in row.items()} for row in found]

    return section
