"""REST of enrollments."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import current_app, g, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from ..billing.queries import enrollment_money
from ..core.errors import InvalidInput
from ..core.web.access import MENU, can
from ..core.web.api import idempotency_key, key_of, operation
from ..core.web.inputs import list_query
from ..core.web.records import readable
from . import queries, service
from .calc import Refund
from .models import Enrollment
from .schemas import (
    CancelEnrollmentInput,
    CompleteInput,
    EnrollmentInput,
    EnrollmentReasonInput,
    EnrollmentSchema,
    PauseInput,
    QuoteSchema,
    RenewInput,
    ResumeInput,
    SessionsInput,
)
from .views import EnrollmentView

_VERB: dict[str, Any] = {"answers": {200: EnrollmentSchema}, "refusals": (404, 409), "menu": MENU, "idempotent": True}


class EnrollmentApi(readable(EnrollmentSchema)):  # type: ignore[misc]
    """Enrollments and the verbs of their life."""

    resource = "enrollments"
    model = Enrollment
    class_permission_name = "EnrollmentEnrollment"
    openapi_spec_tag = "Enrollments"
    filters = EnrollmentView.filters
    load = (selectinload(Enrollment.package),)
    orders = {"begins_on": (Enrollment.begins_on,), "ends_on": (Enrollment.ends_on,), "status": (Enrollment.status,)}

    def listing(self) -> Any:
        """Deleted ones are left out of lists that don't filter by it, not of what is asked for by its key."""
        g.enrollment_list = all(entry.get("col") != "deleted" for entry in list_query().get("filters", []))
        return super().listing()

    def base_query(self) -> Select[Any]:
        statement = select(Enrollment)
        return statement.where(Enrollment.deleted_at.is_(None)) if g.get("enrollment_list") else statement

    def prepare(self, items: Sequence[Enrollment]) -> None:
        keys = [item.id for item in items]
        g.enrollment_figures = (queries.session_counts(self.session, keys), enrollment_money(self.session, keys))

    def dump(self, item: Enrollment) -> Any:
        counts, paid = g.enrollment_figures
        figures = {
            "used": counts[item.id].used, "reserved": counts[item.id].reserved,
            "remaining": counts[item.id].remaining, "paid": paid[item.id].paid, "refunded": paid[item.id].refunded,
        }
        columns = {column.key: getattr(item, column.key) for column in Enrollment.__table__.columns}
        return self.schema().dump({**columns, **figures})

    def _done(self, do: Callable[[], Enrollment], status: int = 200) -> Any:
        return self._told(self.work(do).id, status)

    def _told(self, key: int, status: int = 200) -> Any:
        item = self.find(str(key))
        self.prepare([item])
        return self.result(self.dump(item), status, id=key)

    @operation("/", "POST", summary="Sell a package to a client", permission="create_enrollment", menu=MENU,
               body=EnrollmentInput, answers={201: EnrollmentSchema}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.create_enrollment(
                self.session, actor=self.actor, idempotency_key=idempotency_key(), **data
            ),
            201,
        )

    @operation("/<pk>/update_sessions", "POST", summary="Agree on a new total of sessions",
               permission="update_sessions", body=SessionsInput, **_VERB)
    def update_sessions(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.update_sessions(
                self.session, enrollment_id=key_of(pk), total=data["total"], charge_amount=data.get("charge"),
                actor=self.actor, idempotency_key=idempotency_key(),
            )
        )

    @operation("/<pk>/complete", "POST", summary="Mark as completed", permission="complete_enrollment",
               body=CompleteInput, **_VERB)
    def complete(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.complete_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            )
        )

    @operation("/<pk>/refund_quote", summary="What a cancellation would give back", permission="cancel_enrollment",
               menu=MENU, answers={200: QuoteSchema}, refusals=(422,),
               query=(("kind", "string", "none, partial or full; partial unless given"),))
    def refund_quote(self, pk: str) -> Any:
        try:
            kind = Refund(request.args.get("kind", Refund.partial))
        except ValueError:
            raise InvalidInput(
                fields={"kind": _l("Choose one of: %(choices)s.", choices=", ".join(Refund))}
            ) from None
        item = self.find(pk)
        quote = queries.refund_quote(self.session, item, kind)
        return self.result(
            QuoteSchema().dump({**vars(quote), "percentage": str(quote.percentage), "currency": item.currency})
        )

    @operation("/<pk>/cancel", "POST", summary="End early, with no, a partial or the full refund",
               permission="cancel_enrollment", body=CancelEnrollmentInput, **_VERB)
    def cancel(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.cancel_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, may_adjust=can("adjust_refund_amount"),
                idempotency_key=idempotency_key(), **data,
            )
        )

    @operation("/<pk>/pause", "POST", summary="Let it rest from one day to another", permission="pause_enrollment",
               body=PauseInput, **_VERB)
    def pause(self, pk: str, data: dict[str, Any]) -> Any:
        settings = current_app.extensions["enrollment"].settings
        limits = service.PauseLimits(settings.pauses_per_year, settings.pause_days_per_year)
        return self._done(
            lambda: service.pause_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, limits=limits,
                idempotency_key=idempotency_key(), **data,
            )
        )

    @operation("/<pk>/resume", "POST", summary="Go on from today, or give up a planned pause",
               permission="pause_enrollment", body=ResumeInput, **_VERB)
    def resume(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.resume_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            )
        )

    @operation("/<pk>/undo", "POST", summary="Take a cancellation or completion back",
               permission="undo_enrollment", body=EnrollmentReasonInput, **_VERB)
    def undo(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.undo_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            )
        )

    @operation("/<pk>/renew", "POST", summary="Sell the same package again", permission="create_enrollment",
               menu=MENU, body=RenewInput, answers={201: EnrollmentSchema}, refusals=(404, 409), idempotent=True)
    def renew(self, pk: str, data: dict[str, Any]) -> Any:
        return self._done(
            lambda: service.renew_enrollment(
                self.session, enrollment_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            ),
            201,
        )

    @operation("/<pk>/delete", "POST", summary="Delete, for 30 days restorable", permission="delete_enrollment",
               body=EnrollmentReasonInput, menu=MENU, answers={200: None}, refusals=(404, 409), idempotent=True)
    def delete(self, pk: str, data: dict[str, Any]) -> Any:
        self.once(lambda: service.delete_enrollment(self.session, enrollment_id=key_of(pk), actor=self.actor, **data))
        return self.result({})

    @operation("/<pk>/restore", "POST", summary="Bring a deleted enrollment back", permission="delete_enrollment",
               body=ResumeInput, menu=MENU, answers={200: EnrollmentSchema}, refusals=(404, 409),
               idempotent=True)
    def restore(self, pk: str, data: dict[str, Any]) -> Any:
        key = self.once(
            lambda: service.restore_enrollment(self.session, enrollment_id=key_of(pk), actor=self.actor, **data)
        )
        return self._told(key)
