"""Stripe: Checkout sessions, refunds and signed events, through its official library.

The library is an optional extra, imported with the first call: a start would wait for it.
"""

import datetime as dt
import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from babel.numbers import get_currency_precision
from flask_babel import lazy_gettext as _l

from ...core import money
from ...core.errors import IdempotencyMismatch
from ...core.log import logger
from ...settings import Settings
from .errors import BadEvent, NoSuchAmount, ProviderAway, ProviderMisconfigured, ProviderRefused
from .provider import Checkout, Dispute, DisputeState, Event, Order, Provider, Returned, Stage

TIMEOUT_SECONDS = 15
TRIES_AGAIN = 1
SIGNED_SECONDS_AGO_MAX = 300
"""Older signatures are refused, so that nobody can send an event again that they once overheard."""

_WHOLE = {
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
}
_THOUSANDTHS = {"BHD", "JOD", "KWD", "OMR", "TND"}
_LOCALES = {
    "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN", "hr", "hu",
    "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th",
    "tr", "vi", "zh", "zh-HK", "zh-TW",
}
"""The languages of Checkout (https://docs.stripe.com/api/checkout/sessions/create); others get the browser's."""

log = logger()


def stripe_of(settings: Settings) -> tuple[Provider | None, Any]:
    """Stripe, if it can be used with these settings, else what is missing."""
    wanted = {
        "ENROLLMENT_STRIPE_KEY": settings.stripe_key, "ENROLLMENT_STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secret
    }
    missing = [name for name, value in wanted.items() if not value]
    if missing:
        return None, _l("Online payment is off. To switch it on, set %(settings)s.", settings=", ".join(missing))
    if importlib.util.find_spec("stripe") is None:
        return None, _l("Online payment is off: the library “stripe” is missing. Install enrollment-addon[stripe].")
    return Stripe(settings.stripe_key, settings.stripe_webhook_secret, settings.stripe_url), None


def to_stripe(minor: int, currency: str) -> int:
    """Our minor units as Stripe counts, which is not as ISO 4217 does for every currency.

    ISK and UGX have no decimals and are counted in hundredths all the same; of thousandths the last digit must be 0
    (https://docs.stripe.com/currencies#special-cases). Raises: NoSuchAmount.
    """
    step = 10 if currency in _THOUSANDTHS else 1
    units: int
    units, rest = divmod(minor * 10 ** _decimals(currency), 10 ** get_currency_precision(currency))
    if rest or units % step:
        smallest = step * 10 ** max(get_currency_precision(currency) - _decimals(currency), 0)
        raise NoSuchAmount(provider=Stripe.name, currency=currency, step=str(money.to_decimal(smallest, currency)))
    return units


def from_stripe(units: int, currency: str) -> int:
    """What Stripe counts as our minor units, rounded half up where it counts smaller coins than there are."""
    return money.half_up(units * 10 ** get_currency_precision(currency), 10 ** _decimals(currency))


def _decimals(currency: str) -> int:
    return 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2


def checkout_locale(locale: str | None) -> str:
    """The language of Checkout that comes nearest to a client's."""
    tag = (locale or "").replace("_", "-")
    return next((name for name in (tag, tag.partition("-")[0]) if name in _LOCALES), "auto")


class Stripe:
    """An account at Stripe. Its key is told to nobody: not logged, not shown, not in messages."""

    name = "Stripe"

    def __init__(self, key: str, webhook_secret: str, url: str = "") -> None:
        self._key, self._webhook_secret, self._url = key, webhook_secret, url

    @functools.cached_property
    def _client(self) -> Any:
        import stripe

        return stripe.StripeClient(
            self._key, http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS), max_network_retries=TRIES_AGAIN,
            base_addresses={"api": self._url.rstrip("/")} if self._url else None,
        )

    @contextmanager
    def _talk(self) -> Iterator[Any]:
        """Stripe's resources; what it refuses comes as one of our errors."""
        import stripe

        try:
            yield self._client.v1
        except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as error:
            log.warning("provider_unreachable", provider=self.name, error=type(error).__name__)
            raise ProviderAway(provider=self.name) from error
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            log.error("provider_misconfigured", provider=self.name, error=type(error).__name__)
            raise ProviderMisconfigured(provider=self.name) from error
        except stripe.IdempotencyError as error:
            raise IdempotencyMismatch from error
        except stripe.StripeError as error:
            log.warning("provider_refused", provider=self.name, error=type(error).__name__, code=error.code)
            raise ProviderRefused(provider=self.name, reason=(error.user_message or "")[:300]) from error

    def begin(self, order: Order) -> Checkout:
        known = {"enrollment_reference": order.reference}
        asked: dict[str, Any] = {
            "mode": "payment", "client_reference_id": order.reference, "metadata": known,
            "payment_intent_data": {"metadata": known}, "locale": checkout_locale(order.locale),
            "success_url": order.done_url, "cancel_url": order.left_url,
            "line_items": [
                {"quantity": 1, "price_data": {
                    "currency": order.currency.lower(), "unit_amount": to_stripe(amount, order.currency),
                    "product_data": {"name": what},
                }}
                for what, amount in order.items
            ],
        }
        if order.email:
            asked["customer_email"] = order.email
        with self._talk() as v1:
            return _checkout(v1.checkout.sessions.create(asked, {"idempotency_key": order.reference}).to_dict())

    def look_up(self, checkout_id: str) -> Checkout:
        with self._talk() as v1:
            return _checkout(v1.checkout.sessions.retrieve(checkout_id).to_dict())

    def end(self, checkout_id: str) -> Checkout:
        try:
            with self._talk() as v1:
                return _checkout(v1.checkout.sessions.expire(checkout_id).to_dict())
        except ProviderRefused:
            seen = self.look_up(checkout_id)
            if seen.stage is Stage.open:
                raise
            return seen

    def refund(self, payment: str, amount: int, currency: str, reference: str) -> Returned:
        asked: Any = {
            "payment_intent": payment, "amount": to_stripe(amount, currency),
            "metadata": {"enrollment_reference": reference},
        }
        with self._talk() as v1:
            made = _returned(v1.refunds.create(asked, {"idempotency_key": reference}).to_dict())
        if made.failed:
            raise ProviderRefused(provider=self.name, reason=made.problem or "")
        return made

    def refunds_of(self, payment: str) -> Sequence[Returned]:
        with self._talk() as v1:
            found = v1.refunds.list({"payment_intent": payment, "limit": 100})
            rows = [_returned(item.to_dict()) for item in found.auto_paging_iter()]
        return rows[::-1]

    def read_event(self, body: bytes, signature: str | None) -> Event | None:
        import stripe

        try:
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, SIGNED_SECONDS_AGO_MAX)
            return _event(json.loads(body))
        except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("bad_event", provider=self.name, error=type(error).__name__)
            raise BadEvent from error


_OF_A_CHECKOUT = {
    "checkout.session.completed", "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed", "checkout.session.expired",
}
_OF_A_REFUND = {"charge.refunded", "refund.failed"}
_OF_A_DISPUTE = {"charge.dispute.created", "charge.dispute.closed"}


def _event(event: Mapping[str, Any]) -> Event | None:
    kind, at, about = event["type"], _instant(event["created"]), event["data"]["object"]
    if kind in _OF_A_CHECKOUT and (about.get("metadata") or {}).get("enrollment_reference"):
        return Event(at, checkout=_checkout(about), failed=kind.endswith(".async_payment_failed"))
    if kind in _OF_A_REFUND and about.get("payment_intent"):
        return Event(at, refunded_payment=_name(about["payment_intent"]))
    if kind in _OF_A_DISPUTE and about.get("payment_intent"):
        return Event(at, dispute=_dispute(about, closed=kind.endswith(".closed")))
    return None


def _dispute(data: Mapping[str, Any], *, closed: bool) -> Dispute:
    """A bank's inquiry counts as a dispute; one that came to nothing is won."""
    currency = data["currency"].upper()
    ended = DisputeState.lost if data["status"] == "lost" else DisputeState.won
    return Dispute(
        id=data["id"], payment=str(_name(data["payment_intent"])), amount=from_stripe(data["amount"], currency),
        currency=currency, state=ended if closed else DisputeState.opened,
    )


_STAGES = {"open": Stage.open, "complete": Stage.through, "expired": Stage.ended}


def _checkout(data: Mapping[str, Any]) -> Checkout:
    currency = data["currency"].upper()
    return Checkout(
        id=data["id"], stage=_STAGES[data["status"]],
        paid=data["payment_status"] == "paid", amount=from_stripe(data["amount_total"], currency), currency=currency,
        payment=_name(data.get("payment_intent")), url=data.get("url"), ends_at=_instant(data["expires_at"]),
    )


def _returned(data: Mapping[str, Any]) -> Returned:
    return Returned(
        id=data["id"], amount=from_stripe(data["amount"], data["currency"].upper()),
        failed=data.get("status") in ("failed", "canceled"),
        reference=(data.get("metadata") or {}).get("enrollment_reference"), problem=data.get("failure_reason"),
    )


def _name(item: Any) -> str | None:
    """The id of something that Stripe names, or tells in full when it was asked to."""
    return item if item is None or isinstance(item, str) else str(item["id"])


def _instant(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
