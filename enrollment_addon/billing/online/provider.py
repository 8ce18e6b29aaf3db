"""What is asked of a provider of online payment, and which one is switched on.

Without one, money is recorded by staff as ever. Amounts are minor units as everywhere here; what a provider counts
in is its own affair.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from .errors import OnlineOff


class Order(NamedTuple):
    """What a client shall pay, as (what for, amount), and where the page leads when they are through or turn back."""

    reference: str
    currency: str
    items: Sequence[tuple[str, int]]
    email: str | None
    locale: str | None
    done_url: str
    left_url: str


class Stage(StrEnum):
    """How far a client has come on the provider's page."""

    open = "open"
    through = "through"
    ended = "ended"


class Checkout(NamedTuple):
    """The provider's page for one order as it is now. `paid`: the money is there, of which `payment` is the name."""

    id: str
    stage: Stage
    paid: bool
    amount: int
    currency: str
    payment: str | None
    url: str | None
    ends_at: dt.datetime


class Returned(NamedTuple):
    """A refund at the provider; `reference` is ours where we asked for it."""

    id: str
    amount: int
    failed: bool
    reference: str | None = None
    problem: str | None = None


class DisputeState(StrEnum):
    """How a dispute stands."""

    opened = "opened"
    won = "won"
    lost = "lost"


class Dispute(NamedTuple):
    """That a payer's bank wants (a part of) a payment back."""

    id: str
    payment: str
    amount: int
    currency: str
    state: DisputeState


class Event(NamedTuple):
    """What a provider tells on its own: of a checkout, that there are refunds of a payment, or of a dispute."""

    at: dt.datetime
    checkout: Checkout | None = None
    failed: bool = False
    refunded_payment: str | None = None
    dispute: Dispute | None = None


class Provider(Protocol):
    """Somebody who takes money for us. The same reference is done only once, however often it is asked for.

    All but `read_event` raise ProviderAway, ProviderRefused or ProviderMisconfigured.
    """

    name: str

    def begin(self, order: Order) -> Checkout:
        """Make a page where the order can be paid. Raises: NoSuchAmount, IdempotencyMismatch."""
        ...

    def look_up(self, checkout_id: str) -> Checkout: ...

    def end(self, checkout_id: str) -> Checkout:
        """End a page that is open; one that is not is given as it is."""
        ...

    def refund(self, payment: str, amount: int, currency: str, reference: str) -> Returned:
        """Send money back. Raises: NoSuchAmount, IdempotencyMismatch; ProviderRefused also when it failed at once."""
        ...

    def refunds_of(self, payment: str) -> Sequence[Returned]:
        """All refunds of a payment, the oldest first, failed ones too."""
        ...

    def read_event(self, body: bytes, signature: str | None) -> Event | None:
        """An event that the provider signed; None for one that means nothing to us. Raises: BadEvent."""
        ...


@dataclass
class _Switch:
    provider: Provider | None = None
    why_off: Any = OnlineOff.message


_switch = _Switch()


def use_provider(provider: Provider | None, why_off: Any = OnlineOff.message) -> None:
    """Let money be taken by this provider, or by none, and say to those who run the place why."""
    _switch.provider, _switch.why_off = provider, why_off


def switched_on() -> bool:
    return _switch.provider is not None


def why_off() -> Any:
    """What is missing, for those who can set it."""
    return _switch.why_off


def current() -> Provider:
    """The provider that is switched on. Raises: OnlineOff."""
    if _switch.provider is None:
        raise OnlineOff
    return _switch.provider
