"""REST of money: charges, payments and refunds."""

from typing import Any

from sqlalchemy import select

from ..core import clock
from ..core.db import require
from ..core.web.access import MENU
from ..core.web.api import Api, idempotency_key, key_of, operation
from ..core.web.records import readable
from ..people.models import Client, Club
from ..people.queries import require_client
from . import queries, service
from .models import Charge, Payment
from .schemas import (
    ChargeInput,
    ChargeSchema,
    PaymentAnswer,
    PaymentInput,
    PaymentSchema,
    ReasonInput,
    RefundInput,
    RefundSchema,
    as_decimals,
    minor_units,
    percent,
)
from .views import ChargeView, PaymentView

MOST_LISTED = 1_000


class ChargeApi(readable(ChargeSchema)):  # type: ignore[misc]
    """Charges: read, issued, voided and freed; never edited."""

    resource = "charges"
    model = Charge
    class_permission_name = "EnrollmentCharge"
    openapi_spec_tag = "Money"
    filters = ChargeView.filters
    orders = {"due_on": (Charge.due_on,), "issued_at": (Charge.id,), "gross": (Charge.gross,)}

    @operation("/", "POST", summary="Issue a charge to a client", permission="issue_charges", menu=MENU,
               body=ChargeInput, answers={201: ChargeSchema}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        club = self._club(data["client_id"])
        currency = service.payment_currency(self.session, data["client_id"], None, data.pop("currency", None))
        amount = minor_units(data.pop("amount"), currency)
        rate = percent(data.pop("tax_rate"))
        due_on = data.pop("due_on", None) or clock.today(club.timezone)
        made = self.work(
            lambda: service.issue_charge(
                self.session, gross=amount, currency=currency, tax_rate=rate, due_on=due_on, actor=self.actor,
                idempotency_key=idempotency_key(), **data,
            ).id
        )
        return self._told(made, 201)

    def _club(self, client_id: int) -> Club:
        client = require(self.session, Client, client_id)
        return self.session.scalars(select(Club).where(Club.id == client.club_id)).one()

    def _told(self, key: int, status: int = 200) -> Any:
        item = self.find(str(key))
        return self.result(self.dump(item), status, id=item.id)

    @operation("/<pk>/void", "POST", summary="Withdraw a charge; what was paid for it goes on account",
               permission="void_charges", menu=MENU, body=ReasonInput, answers={200: ChargeSchema},
               refusals=(404, 409))
    def void(self, pk: str, data: dict[str, Any]) -> Any:
        key = key_of(pk)
        self.work(lambda: service.void_charge(self.session, charge_id=key, actor=self.actor, **data))
        return self._told(key)

    @operation("/<pk>/free", "POST", summary="Put what was paid for a charge on account; the charge is open again",
               permission="take_payments", menu=MENU, body=ReasonInput, answers={200: ChargeSchema},
               refusals=(404, 409))
    def free(self, pk: str, data: dict[str, Any]) -> Any:
        key = key_of(pk)
        self.work(lambda: service.free_charge(self.session, charge_id=key, actor=self.actor, **data))
        return self._told(key)


class ClientChargesApi(Api):
    """The charges of one client."""

    resource = "clients"
    class_permission_name = "EnrollmentCharge"
    openapi_spec_tag = "Money"

    @operation("/<pk>/charges", summary="All charges of a client, the oldest due first, up to 1,000",
               permission="read", answers={200: ChargeSchema}, many=True)
    def charges(self, pk: str) -> Any:
        require_client(self.session, key := key_of(pk))
        rows = self.session.scalars(queries.charges_of(key).limit(MOST_LISTED)).all()
        return self.answer(200, {"count": len(rows), "result": ChargeSchema(many=True).dump(rows)})


class PaymentApi(readable(PaymentSchema)):  # type: ignore[misc]
    """Payments: read and taken; never edited."""

    resource = "payments"
    model = Payment
    class_permission_name = "EnrollmentPayment"
    openapi_spec_tag = "Money"
    filters = PaymentView.filters
    orders = {"paid_on": (Payment.paid_on,), "amount": (Payment.amount,)}

    @operation("/", "POST", summary="Take a payment, or settle with what is on account", permission="take_payments",
               menu=MENU, body=PaymentInput, answers={201: PaymentAnswer}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        currency = service.payment_currency(
            self.session, data["client_id"], data.get("charge_ids"), data.pop("currency", None)
        )
        amount = minor_units(data.pop("amount"), currency)
        answer = self.work(
            lambda: service.take_payment(
                self.session, amount=amount, currency=currency, actor=self.actor, idempotency_key=idempotency_key(),
                **data,
            )
        )
        return self.result(as_decimals(answer), 201)


class RefundApi(Api):
    """Refunds of payments."""

    resource = "refunds"
    class_permission_name = "EnrollmentPayment"
    openapi_spec_tag = "Money"

    @operation("/", "POST", summary="Refund a payment, whole or in part", permission="refund", menu=MENU,
               body=RefundInput, answers={201: RefundSchema}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        payment = require(self.session, Payment, data["payment_id"])
        amount = minor_units(data.pop("amount"), payment.currency)
        made = self.work(
            lambda: RefundSchema().dump(
                service.refund_payment(
                    self.session, amount=amount, actor=self.actor, idempotency_key=idempotency_key(), **data
                )
            )
        )
        return self.result(made, 201, id=made["id"])
