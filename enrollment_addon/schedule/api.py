"""REST of the schedule: class groups and sessions, bookings with their verbs, closures."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import current_app, g
from sqlalchemy import Select, select

from ..catalog.languages import TranslatedApi
from ..core.batches import Batch
from ..core.db import require
from ..core.web.access import MENU, authorize
from ..core.web.api import idempotency_key, key_of, operation
from ..core.web.record_verbs import RecordVerbs
from ..core.web.records import readable, writable
from ..people.models import Client, Club
from . import queries, service
from .closure_schemas import (
    ClosureAnswer,
    ClosureInput,
    ClosurePlanAnswer,
    ClosureSchema,
    ReopenAnswer,
    ReopenInput,
    ReopenPlanAnswer,
)
from .group_views import ClassGroupView
from .models import Booking, ClassGroup, ScheduledSession
from .schemas import (
    AppointmentInput,
    AttendanceInput,
    BookingInput,
    BookingSchema,
    CancelAnswer,
    CancelInput,
    ClassGroupInput,
    ClassGroupSchema,
    PresentAnswer,
    SessionChange,
    SessionInput,
    SessionSchema,
    TakePlaceInput,
    WalkInInput,
    pay_with_of,
)
from .service.close import KIND
from .views import BookingView, SessionView


class ClassGroupApi(TranslatedApi, writable(ClassGroupSchema, ClassGroupInput)):  # type: ignore[misc]
    resource = "class_groups"
    model = ClassGroup
    class_permission_name = "EnrollmentClassGroup"
    verbs = RecordVerbs(service.create_class_group, service.update_class_group, service.delete_class_group)
    openapi_spec_tag = "Class groups"
    filters = ClassGroupView.filters
    load = queries.GROUP_PARTS
    orders = {"name": (ClassGroup.name,)}


class SessionApi(writable(SessionSchema, SessionInput, SessionChange)):  # type: ignore[misc]
    resource = "sessions"
    model = ScheduledSession
    class_permission_name = "EnrollmentSession"
    verbs = RecordVerbs(service.create_session, service.update_session, service.delete_session)
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

    @operation("/<pk>/all_present", "POST", summary="Note everybody who is booked, and in reach, as attended",
               permission="take_attendance", menu=MENU, answers={200: PresentAnswer}, refusals=(404, 409),
               idempotent=True)
    def all_present(self, pk: str) -> Any:
        count = self.once(lambda: service.all_present(self.session, session_id=key_of(pk), actor=self.actor))
        return self.result({"present": count})


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
        return self._made(service.book, data)

    @operation("/walk_in", "POST", summary="Note somebody who came without a booking: booked, paid for and attended",
               permission="take_attendance", menu=MENU, body=WalkInInput, answers={201: BookingSchema},
               refusals=(404, 409), idempotent=True)
    def walk_in(self, data: dict[str, Any]) -> Any:
        authorize("book_sessions")
        return self._made(service.walk_in, data)

    @operation("/appointment", "POST", summary="Make a one-off session for one client and book them into it",
               permission="book_sessions", menu=MENU, body=AppointmentInput, answers={201: BookingSchema},
               refusals=(404, 409), idempotent=True)
    def appointment(self, data: dict[str, Any]) -> Any:
        return self._made(service.create_appointment, data)

    def _made(self, verb: Callable[..., Booking], data: dict[str, Any]) -> Any:
        """Carry out a verb that books, paid for as the caller wishes."""
        given = data.pop("pay_with", None)

        def do() -> Booking:
            wish = pay_with_of(given, self._currency(data))
            return verb(self.session, pay_with=wish, actor=self.actor, idempotency_key=idempotency_key(), **data)

        made = self.work(do)
        return self.result(self.dump(self.find(str(made.id))), 201, id=made.id)

    def _currency(self, data: dict[str, Any]) -> str:
        """The currency of the club in which it takes place. Raises: NotFound."""
        if "session_id" in data:
            club_id = require(self.session, ScheduledSession, data["session_id"]).club_id
        else:
            club_id = data.get("club_id") or require(self.session, Client, data["client_id"]).club_id
        return require(self.session, Club, club_id).currency

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

    @operation("/<pk>/take_place", "POST", summary="Give somebody in the queue a free place, or the one held for them",
               permission="book_sessions", menu=MENU, body=TakePlaceInput, answers={200: BookingSchema},
               refusals=(404, 409), idempotent=True)
    def take_place(self, pk: str, data: dict[str, Any]) -> Any:
        self.work(
            lambda: service.take_place(
                self.session, booking_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            )
        )
        return self.result(self.dump(self.find(pk)))

    @operation("/<pk>/attendance", "POST", summary="Say what became of a booking, or correct it",
               permission="take_attendance", menu=MENU, body=AttendanceInput, answers={200: BookingSchema},
               refusals=(404, 409), idempotent=True)
    def attendance(self, pk: str, data: dict[str, Any]) -> Any:
        self.once(
            lambda: service.record_attendance(
                self.session, booking_id=key_of(pk), actor=self.actor, **data
            )
        )
        return self.result(self.dump(self.find(pk)))


class ClosureApi(readable(ClosureSchema)):  # type: ignore[misc]
    """Closing days and sessions: a closure is read here, and undone."""

    resource = "closures"
    model = Batch
    class_permission_name = "EnrollmentClosure"
    openapi_spec_tag = "Sessions and bookings"

    def base_query(self) -> Select[Any]:
        return select(Batch).where(Batch.kind == KIND)

    @operation("/", "POST", summary="Cancel sessions by key, or those of a club's days; what paid comes back",
               permission="close_sessions", menu=MENU, body=ClosureInput,
               answers={200: ClosurePlanAnswer, 201: ClosureAnswer, 202: ClosureAnswer}, refusals=(404, 409),
               idempotent=True)
    def post(self, data: dict[str, Any]) -> Any:
        if data.pop("preview"):
            del data["reason"]
            return self.result(vars(service.closure_plan(self.session, actor=self.actor, **data)))
        done = self.work(
            lambda: service.close_sessions(
                self.session, actor=self.actor, idempotency_key=idempotency_key(), threshold=self.threshold, **data
            )
        )
        return self.result(done, 201 if done["job_id"] is None else 202)

    @operation("/<pk>/undo_plan", summary="What an undo would do", permission="close_sessions", menu=MENU,
               answers={200: ReopenPlanAnswer}, refusals=(409,))
    def undo_plan(self, pk: str) -> Any:
        plan = service.reopen_plan(self.session, batch_id=key_of(pk), actor=self.actor)
        return self.result(vars(plan))

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
