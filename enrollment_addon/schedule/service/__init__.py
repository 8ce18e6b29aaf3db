"""The verbs on the schedule: the only writer of class groups, sessions and bookings."""

from .attendance import all_present, record_attendance
from .book import book, walk_in
from .cancel import cancel_booking, cancel_enrollment_bookings, hold_enrollment
from .close import ClosurePlan, close_chunk, close_sessions, close_skipped, closure_plan
from .generate import Generated, finish_sessions, generate_sessions
from .groups import class_group_holders, create_class_group, delete_class_group, update_class_group
from .overlaps import count_double_booked, double_booked, taken_twice
from .places import lock_accounts
from .reopen import ReopenPlan, reopen_chunk, reopen_plan, reopen_skipped, skip_reopening, undo_closure
from .sessions import create_appointment, create_session, delete_session, move_session, update_session
from .waitlist import count_queues, has_queue_to_serve, next_queue, serve_queue, serve_queues, take_place

__all__ = [
    "ClosurePlan",
    "Generated",
    "ReopenPlan",
    "all_present",
    "book",
    "cancel_booking",
    "cancel_enrollment_bookings",
    "class_group_holders",
    "close_chunk",
    "close_sessions",
    "close_skipped",
    "closure_plan",
    "count_double_booked",
    "count_queues",
    "create_appointment",
    "create_class_group",
    "create_session",
    "delete_class_group",
    "delete_session",
    "double_booked",
    "finish_sessions",
    "generate_sessions",
    "has_queue_to_serve",
    "hold_enrollment",
    "lock_accounts",
    "move_session",
    "next_queue",
    "record_attendance",
    "reopen_chunk",
    "reopen_plan",
    "reopen_skipped",
    "serve_queue",
    "serve_queues",
    "skip_reopening",
    "take_place",
    "taken_twice",
    "undo_closure",
    "update_class_group",
    "update_session",
    "walk_in",
]
