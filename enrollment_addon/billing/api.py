"""REST of money: charges, payments and refunds."""

from collections.abc import Callable
from typing import Any

from flask import request
from sqlalchemy import select

from ..core import clock
from ..core.db import require
from ..core.web.access import MENU
from ..core.web.api import Api, idempotency_key, key_of, operation
from ..core.web.inputs import whole_number
from ..core.web.lists import LARGEST_OFFSET, capped_count
from ..core.web.records import readable
from ..people.models import Client, Club
from ..people.queries import require_client
from . import queries, service
from .models import Charge, Payment, Refund
from .online import desk
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

CHARGES_A_PAGE = 1_000


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

    def _changed(self, verb: Callable[..., Any], pk: str, data: dict[str, Any]) -> Any:
        """Do a verb on a charge and tell what it is then."""
        key = key_of(pk)
        self.once(lambda: verb(self.session, charge_id=key, actor=self.actor, **data))
        return self._told(key)

    @operation("/<pk>/void", "POST", summary="Withdraw a charge; what was paid for it goes on account",
               permission="void_charges", menu=MENU, body=ReasonInput, answers={200: ChargeSchema},
               refusals=(404, 409), idempotent=True)
    def void(self, pk: str, data: dict[str, Any]) -> Any:
        return self._changed(service.void_charge, pk, data)

    @operation("/<pk>/free", "POST", summary="Put what was paid for a charge on account; the charge is open again",
               permission="take_payments", menu=MENU, body=ReasonInput, answers={200: ChargeSchema},
               refusals=(404, 409), idempotent=True)
    def free(self, pk: str, data: dict[str, Any]) -> Any:
        return self._changed(service.free_charge, pk, data)


class ClientChargesApi(Api):
    """The charges of one client."""

    resource = "clients"
    class_permission_name = "EnrollmentCharge"
    openapi_spec_tag = "Money"

    @operation("/<pk>/charges", summary="The charges of a client, the oldest due first, 1,000 a page",
               permission="read", answers={200: ChargeSchema}, many=True,
               query=(("page", "integer", "Page number, from 0"),))
    def charges(self, pk: str) -> Any:
        require_client(self.session, key := key_of(pk))
        page = whole_number("page", request.args.get("page"), 0, 0, LARGEST_OFFSET // CHARGES_A_PAGE)
        statement = queries.charges_of(key)
        count = capped_count(self.session, statement, Charge, LARGEST_OFFSET)[0]
        rows = self.session.scalars(statement.limit(CHARGES_A_PAGE).offset(page * CHARGES_A_PAGE)).all()
        return self.answer(200, {"count": count, "result": ChargeSchema(many=True).dump(rows)})


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

    @operation("/", "POST", summary="Refund a payment, whole or in part; what came in online goes back there",
               permission="refund", menu=MENU,
               body=RefundInput, answers={201: RefundSchema}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        payment = require(self.session, Payment, data["payment_id"])
        amount = minor_units(data.pop("amount"), payment.currency)
        made = desk.refund_payment(
            self.session, amount=amount, actor=self.actor, idempotency_key=idempotency_key(), **data
        )
        return self.result(RefundSchema().dump(require(self.session, Refund, made)), 201, id=made)
