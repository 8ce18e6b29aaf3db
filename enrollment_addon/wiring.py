"""Plugs the domains into the host and into each other, for the modules that are switched on."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from .catalog import queries as catalog
from .catalog.models import ActivityLevel, ClassCategory, EventType, Package, Semester
from .catalog.service import clubs_of_packages, event_types_in_packages, register_event_type_holder
from .core.extension import Extension
from .core.scope import Actor
from .core.web import access
from .core.web.export_files import use_background
from .core.web.forms import Source, register_source
from .jobs import dispatch, exports, runner
from .jobs.service import PURGE_EXPORTS
from .people import queries as people
from .people import reach
from .people.hooks import register_club_holder
from .people.models import Client, Club, Household, Participant, TeamMember
from .settings import Settings


def wire_people(app: Flask, settings: Settings) -> None:
    """Where jobs run, who reaches what, and the choices of clients, households, clubs and team members."""
    extension: Extension = app.extensions["enrollment"]
    extension.dispatcher = dispatch.setup(app, settings)
    app.before_request(lambda: extension.dispatcher.ensure_running())
    access.use_actor_resolver(reach.actor_for_user)
    runner.use_actor_resolver(_actor_of_job)
    use_background(exports.start)
    extension.due[PURGE_EXPORTS] = {"days": settings.export_days}
    for name, menu, search, model, text in (
        ("clients", "EnrollmentClient", people.search_clients, Client, lambda c: (c.full_name, c.email or "")),
        ("households", "EnrollmentHousehold", people.search_households, Household, lambda h: (h.name, "")),
        (
            "participants", "EnrollmentParticipant", people.search_participants, Participant,
            lambda p: (p.name, p.client.full_name),
        ),
        ("clubs", "EnrollmentClub", people.search_clubs, Club, lambda c: (c.name, c.currency)),
    ):
        register_source(_source(name, menu, search, model, text))
    register_source(
        _source(
            "team_members", "EnrollmentTeamMember", people.search_team_members, TeamMember, lambda m: (m.name, ""),
            named=people.named_team_members,
        )
    )
    register_source(
        _source(
            "free_users", "EnrollmentTeamMember", people.users_without_team_member, User,
            lambda u: (u.get_full_name(), u.username), permission="add",
        )
    )
    register_source(
        _source(
            "portal_users", "EnrollmentClient", people.users_for_portal, User,
            lambda u: (u.get_full_name(), u.username), permission="edit", named=people.named_portal_users,
        )
    )


def wire_catalog(app: Flask, settings: Settings) -> None:
    """The choices of event types and packages."""
    register_source(
        _source("event_types", "EnrollmentEventType", catalog.search_event_types, EventType, lambda t: (t.label, ""))
    )
    register_source(
        _source(
            "packages", "EnrollmentPackage", catalog.search_packages, Package, lambda p: (p.label, p.event_type.label)
        )
    )
    register_event_type_holder(_l("packages"), event_types_in_packages)
    register_club_holder(_l("packages that are sold only there"), clubs_of_packages)


def wire_credits(app: Flask, settings: Settings) -> None:
    """What credits hold, add to the client pages and do in the background."""
    from .credits import jobs, parts, people_hooks
    from .credits.imports import hooks as imports
    from .credits.imports import jobs as import_jobs  # noqa: F401 - importing registers them
    from .credits.service import check_ledger

    people_hooks.plug_in()
    imports.plug_in()
    extension: Extension = app.extensions["enrollment"]
    extension.client_parts.append(parts.PART)
    extension.due[jobs.EXPIRE] = {"chunk": settings.sweep_chunk}
    extension.checks["credits"] = check_ledger


def wire_billing(app: Flask, settings: Settings) -> None:
    """What money holds, adds to the client card and proves; who takes it online, and what is asked them later."""
    from .billing import hooks, parts, people_hooks
    from .billing.online import jobs
    from .billing.online.check import check_online
    from .billing.online.provider import use_provider
    from .billing.online.service import SEND_REFUNDS, send_later
    from .billing.online.stripe_provider import stripe_of
    from .billing.service import check_money

    people_hooks.plug_in()
    use_provider(*stripe_of(settings))
    hooks.register_after_refunds("online", send_later)
    extension: Extension = app.extensions["enrollment"]
    extension.client_parts.append(parts.PART)
    extension.checks["money"] = check_money
    extension.checks["online payment"] = check_online
    extension.often[jobs.ASK_PROVIDER] = jobs.has_to_ask
    extension.often[SEND_REFUNDS] = jobs.has_to_send


def wire_schedule(app: Flask, settings: Settings) -> None:
    """The choices of class records, groups and sessions; what the schedule holds, adds, does at night and tells."""
    from .credits import hooks as credits
    from .notices import jobs as notice_jobs
    from .notices import people_hooks as notices
    from .notices.queries import has_notices
    from .schedule import hooks, jobs, parts, people_hooks
    from .schedule import queries as schedule
    from .schedule.calc import Policy
    from .schedule.models import ClassGroup, ScheduledSession
    from .schedule.service import has_queue_to_serve
    from .schedule.views import when

    hooks.use_policy(
        Policy(
            notice_hours=settings.notice_hours, no_show_forfeits=settings.no_show_forfeits,
            late_cancel_forfeits=settings.late_cancel_forfeits, waitlist_hold_hours=settings.waitlist_hold_hours,
            horizon_weeks=settings.horizon_weeks, grace_days=settings.grace_days,
        )
    )
    people_hooks.plug_in()
    notices.plug_in()
    for name, menu, search, model, text in (
        ("class_groups", "EnrollmentClassGroup", schedule.search_class_groups, ClassGroup,
         lambda g: (g.label, g.club.name)),
        ("sessions", "EnrollmentSession", schedule.search_sessions, ScheduledSession,
         lambda s: (f"{s.label} · {when(s)}", s.club.name)),
        ("class_categories", "EnrollmentClassCategory", catalog.search_class_categories, ClassCategory,
         lambda c: (c.label, "")),
        ("activity_levels", "EnrollmentActivityLevel", catalog.search_activity_levels, ActivityLevel,
         lambda c: (c.label, "")),
        ("semesters", "EnrollmentSemester", catalog.search_semesters, Semester, lambda c: (c.label, "")),
    ):
        register_source(_source(name, menu, search, model, text))
    credits.register_teller("booking", parts.told_bookings)
    extension: Extension = app.extensions["enrollment"]
    extension.client_parts.append(parts.PART)
    extension.due[jobs.HORIZON] = {"chunk": settings.sweep_chunk}
    extension.often[jobs.HOLDS] = has_queue_to_serve
    extension.often[notice_jobs.SEND] = has_notices


def wire_enrollments(app: Flask, settings: Settings) -> None:
    """What enrollments hold, add to the client pages, say to bookings and do every night."""
    from .credits import hooks as credits
    from .enrollments import jobs, parts, people_hooks, queries
    from .enrollments.service import (
        follow_expiry,
        guard_booking,
        have_ended,
        settle_attendance,
        tell_given_back,
        tell_voided,
    )
    from .schedule import hooks as schedule

    people_hooks.plug_in()
    schedule.register_enrollment_guard("enrollments", guard_booking)
    schedule.register_resting("enrollments", queries.resting_on)
    schedule.register_after_attendance(
        "enrollments", functools.partial(settle_attendance, complete=settings.auto_complete)
    )
    credits.register_teller("enrollment", parts.told_enrollments)
    credits.register_after_expiry("enrollments", follow_expiry)
    credits.register_after_void("enrollments", tell_voided)
    credits.register_give_back("enrollments", have_ended, tell_given_back)
    extension: Extension = app.extensions["enrollment"]
    extension.client_parts.append(parts.PART)
    extension.due[jobs.PAUSES] = {"chunk": settings.sweep_chunk}


def wire_training(app: Flask, settings: Settings) -> None:
    """What training reports hold, and add to the pages of clients, enrollments and sessions."""
    from .core.web.record_parts import add_record_part
    from .training import parts, people_hooks

    people_hooks.plug_in()
    extension: Extension = app.extensions["enrollment"]
    extension.client_parts.append(parts.PART)
    add_record_part(extension, "enrollment", parts.enrollment_part)
    add_record_part(extension, "booking", parts.booking_part)


def _actor_of_job(session: Session, user_id: int) -> Actor | None:
    """The actor that a job's owner is now; None when they are gone or may no longer log in."""
    user = session.get(User, user_id)
    return access.actor_for_user(session, user) if user is not None and user.active else None


def _source(
    name: str, menu: str, search: Callable[..., Sequence[Any]], model: Any, text: Callable[[Any], tuple[str, str]],
    *, permission: str = "read", named: Callable[[Session, Sequence[int]], Sequence[Any]] | None = None,
) -> Source:
    """The options of a reference, from a domain's search; `named` finds chosen ones where that is not by key alone."""

    def by_key(session: Session, keys: Sequence[int]) -> Sequence[Any]:
        return session.scalars(select(model).where(model.id.in_(keys))).unique().all()

    def rows(items: Sequence[Any]) -> list[tuple[int, str, str]]:
        return [(item.id, *text(item)) for item in items]

    return Source(
        name,
        menu,
        search=lambda session, asked, limit, offset: rows(search(session, asked, limit=limit + offset)[offset:]),
        named=lambda session, keys: rows((named or by_key)(session, keys)),
        permission=permission,
    )
