"""REST of online payment: requests, and the address to which the provider sends its events."""

from typing import Any

from flask import request, url_for
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.exceptions import RequestEntityTooLarge

from ...core.web.access import MENU
from ...core.web.api import idempotency_key, key_of, operation
from ...core.web.records import readable
from . import desk
from .models import OnlinePayment
from .schemas import OnlinePaymentInput, OnlinePaymentSchema
from .views import OnlinePaymentView

LARGEST_EVENT = 256 * 1024


class OnlinePaymentApi(readable(OnlinePaymentSchema)):  # type: ignore[misc]
    """Requests to pay online: read, made and cancelled; the provider says what becomes of them."""

    resource = "online_payments"
    model = OnlinePayment
    class_permission_name = "EnrollmentPayment"
    openapi_spec_tag = "Money"
    filters = OnlinePaymentView.filters
    orders = {"created_at": (OnlinePayment.id,), "ends_at": (OnlinePayment.ends_at,), "amount": (OnlinePayment.amount,)}
    load = (joinedload(OnlinePayment.payment), selectinload(OnlinePayment.charges))

    @operation("/", "POST", summary="Ask a client to pay charges online; the answer has the link",
               permission="request_online_payments", menu=MENU, body=OnlinePaymentInput,
               answers={201: OnlinePaymentSchema}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        made = desk.request_payment(
            self.session, actor=self.actor, idempotency_key=idempotency_key(), **return_urls(), **data
        )
        return self.result(self.dump(self.find(str(made))), 201, id=made)

    @operation("/<pk>/cancel", "POST", summary="End the link of a request; again changes nothing",
               permission="request_online_payments", menu=MENU, answers={200: OnlinePaymentSchema},
               refusals=(404, 409), idempotent=True)
    def cancel(self, pk: str) -> Any:
        key = key_of(pk)
        desk.cancel_request(self.session, online_payment_id=key, actor=self.actor)
        return self.result(self.dump(self.find(pk)), id=key)

    @operation("/webhook", "POST", summary="An event of the provider, signed by it", permission="", open=True,
               answers={200: None}, refusals=(400, 409, 503))
    def webhook(self) -> Any:
        body = request.stream.read(LARGEST_EVENT + 1)
        if len(body) > LARGEST_EVENT:
            raise RequestEntityTooLarge
        desk.hear(self.session, body=body, signature=request.headers.get("Stripe-Signature"))
        return self.result({})


def return_urls() -> dict[str, Any]:
    """Where the provider's page leads: pages that are the same for everybody."""
    return {
        "done_url": url_for("OnlineReturnView.done", _external=True),
        "left_url": url_for("OnlineReturnView.left", _external=True),
    }
