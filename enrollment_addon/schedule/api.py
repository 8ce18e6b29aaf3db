"""REST of the schedule: class groups and sessions, bookings with their verbs, closures."""

from collections.abc import Sequence
from typing import Any

from flask import current_app, g

from ..core.db import require
from ..core.web.access import MENU
from ..core.web.api import Api, idempotency_key, key_of, operation
from ..core.web.records import readable, writable
from ..people.models import Club
from . import queries, service
from .group_views import ClassGroupView
from .models import Booking, ClassGroup, ScheduledSession
from .schemas import (
    AttendanceInput,
    BookingInput,
    BookingSchema,
    CancelAnswer,
    CancelInput,
    ClassGroupInput,
    ClassGroupSchema,
    ClosureAnswer,
    ClosureInput,
    ReopenAnswer,
    ReopenInput,
    SessionChange,
    SessionInput,
    SessionSchema,
    pay_with_of,
)
from .views import BookingView, SessionView


class ClassGroupApi(writable(ClassGroupSchema, ClassGroupInput)):  # type: ignore[misc]
    resource = "class_groups"
    model = ClassGroup
    class_permission_name = "EnrollmentClassGroup"
    openapi_spec_tag = "Class groups"
    filters = ClassGroupView.filters
    load = queries.GROUP_PARTS
    orders = {"name": (ClassGroup.name,)}

    def create(self, **data: Any) -> ClassGroup:
        return service.create_class_group(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> ClassGroup:
        return service.update_class_group(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_class_group(self.session, id=key, actor=self.actor)


class SessionApi(writable(SessionSchema, SessionInput, SessionChange)):  # type: ignore[misc]
    resource = "sessions"
    model = ScheduledSession
    class_permission_name = "EnrollmentSession"
    openapi_spec_tag = "Sessions and bookings"
    filters = SessionView.filters
    load = queries.SESSION_PARTS
    orders = {"starts_at": (ScheduledSession.starts_at,)}

    def prepare(self, items: Sequence[ScheduledSession]) -> None:
        found = queries.taken_of(self.session, [item.id for item in items])
        g.enrollment_taken = {item.id: found.get(item.id, queries.Taken()) for item in items}

    def dump(self, item: ScheduledSession) -> Any:
        if item.id not in g.get("enrollment_taken", {}):
            self.prepare([item])
        taken = g.enrollment_taken[item.id]
        return {**super().dump(item), "booked": taken.booked, "waiting": taken.waiting}

    def create(self, **data: Any) -> ScheduledSession:
        return service.create_session(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> ScheduledSession:
        return service.update_session(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_session(self.session, id=key, actor=self.actor)


class BookingApi(readable(BookingSchema)):  # type: ignore[misc]
    """Bookings are read here and written by their verbs."""

    resource = "bookings"
    model = Booking
    class_permission_name = "EnrollmentBooking"
    openapi_spec_tag = "Sessions and bookings"
    filters = BookingView.filters

    @operation("/", "POST", summary="Book a participant into a session; a full one queues them",
               permission="book_sessions", menu=MENU, body=BookingInput, answers={201: BookingSchema},
               refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        pay_with = data.pop("pay_with", None)

        def do() -> Booking:
            item = require(self.session, ScheduledSession, data["session_id"])
            wish = pay_with_of(pay_with, require(self.session, Club, item.club_id).currency)
            return service.book(
                self.session, pay_with=wish, actor=self.actor, idempotency_key=idempotency_key(), **data
            )

        made = self.work(do)
        return self.result(self.dump(self.find(str(made.id))), 201, id=made.id)

    @operation("/<pk>/cancel", "POST", summary="Cancel a booking; says what came back",
               permission="cancel_bookings", menu=MENU, body=CancelInput, answers={200: CancelAnswer},
               refusals=(404, 409), idempotent=True)
    def cancel(self, pk: str, data: dict[str, Any]) -> Any:
        return self.result(
            self.work(
                lambda: service.cancel_booking(
                    self.session, booking_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
                )
            )
        )

    @operation("/<pk>/attendance", "POST", summary="Say what became of a booking, or correct it",
               permission="take_attendance", menu=MENU, body=AttendanceInput, answers={200: BookingSchema},
               refusals=(404, 409))
    def attendance(self, pk: str, data: dict[str, Any]) -> Any:
        self.work(
            lambda: service.record_attendance(
                self.session, booking_id=key_of(pk), state=data["state"], actor=self.actor, early=True
            )
        )
        return self.result(self.dump(self.find(pk)))


class ClosureApi(Api):
    """Closing days and sessions."""

    resource = "closures"
    class_permission_name = "EnrollmentClosure"
    openapi_spec_tag = "Sessions and bookings"

    @operation("/", "POST", summary="Cancel sessions by key, or those of a club's days; what paid comes back",
               permission="close_sessions", menu=MENU, body=ClosureInput,
               answers={201: ClosureAnswer, 202: ClosureAnswer}, refusals=(404, 409), idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        done = self.work(
            lambda: service.close_sessions(
                self.session, actor=self.actor, idempotency_key=idempotency_key(), threshold=self.threshold, **data
            )
        )
        return self.result(done, 201 if done["job_id"] is None else 202)

    @operation("/<pk>/undo", "POST", summary="Let closed sessions take place after all",
               permission="close_sessions", menu=MENU, body=ReopenInput,
               answers={200: ReopenAnswer, 202: ReopenAnswer}, refusals=(404, 409), idempotent=True)
    def undo(self, pk: str, data: dict[str, Any]) -> Any:
        done = self.work(
            lambda: service.undo_closure(
                self.session, batch_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(),
                threshold=self.threshold, **data,
            )
        )
        return self.result(done, 200 if done["job_id"] is None else 202)

    @property
    def threshold(self) -> int:
        return int(current_app.extensions["enrollment"].settings.job_threshold)
