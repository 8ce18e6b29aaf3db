"""What a person sees of a job."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask
from flask_babel import Babel, force_locale
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import Actor, Reach, set_actor
from enrollment_addon.jobs.models import Job, JobError, JobState
from enrollment_addon.jobs.queries import job_view
from tests.factories import make_user_row
from tests.jobs import kinds  # noqa: F401 - registers the kinds


def make_job(session: Session, **over: Any) -> Job:
    values = {"kind": "test.mark", "state": JobState.running, "total": 100, "done": 40, "rate": 10.0}
    job = Job(input={}, **{**values, **over})
    session.add(job)
    session.flush()
    return job


@pytest.mark.parametrize(
    ("over", "left"),
    [
        ({}, 6),
        ({"skipped": 10, "failed": 10}, 4),
        ({"done": 100}, 0),
        ({"rate": None}, None),
        ({"total": 0}, None),
        ({"state": JobState.queued}, None),
        ({"state": JobState.done}, None),
    ],
)
def test_the_time_left_follows_from_the_rate(
    session: Session, over: dict[str, Any], left: int | None
) -> None:
    assert job_view(session, make_job(session, **over).id).seconds_left == left


def test_while_failed_items_are_done_again_only_they_are_left(session: Session) -> None:
    job = make_job(session, done=70, failed=30)
    rows = [JobError(job_id=job.id, item=number, code="no", message="No.") for number in range(30)]
    session.add_all(rows)
    session.flush()
    job.retry_upto = rows[19].id
    session.flush()
    assert job_view(session, job.id).seconds_left == 2


def test_errors_come_in_pages(session: Session) -> None:
    job, other = make_job(session), make_job(session)
    session.add_all(JobError(job_id=job.id, item=number, code="no", message="No.") for number in range(5))
    session.add(JobError(job_id=other.id, item=99, code="no", message="No."))
    session.flush()
    first = job_view(session, job.id, errors_limit=3)
    assert first.next_errors is not None
    second = job_view(session, job.id, errors_limit=3, errors_after=first.next_errors)
    assert [error.item for error in (*first.errors, *second.errors)] == [0, 1, 2, 3, 4]
    assert second.next_errors is None


@pytest.mark.databases("sqlite")
def test_a_reason_is_shown_in_the_readers_language(session: Session, tmp_path: Path) -> None:
    catalog = Catalog(locale="de")
    catalog.add("This record was not found.", "Nicht gefunden.")
    catalog.add("“%(amount)s” is not an amount of money.", "„%(amount)s“ ist kein Betrag.")
    (tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    with (tmp_path / "de" / "LC_MESSAGES" / "messages.mo").open("wb") as file:
        write_mo(file, catalog)
    job = make_job(session, state=JobState.failed, message="This record was not found.")
    session.add(
        JobError(
            job_id=job.id,
            item=1,
            code="in_use",
            message="“%(amount)s” is not an amount of money.",
            params={"amount": "five"},
        )
    )
    session.flush()
    app = Flask("enrollment_addon")
    Babel(app, default_translation_directories=str(tmp_path))

    def seen_in(locale: str) -> tuple[str | None, str]:
        with app.test_request_context(), force_locale(locale):
            view = job_view(session, job.id)
        return view.message, view.errors[0].message

    assert seen_in("en") == ("This record was not found.", "“five” is not an amount of money.")
    assert seen_in("de") == ("Nicht gefunden.", "„five“ ist kein Betrag.")


def test_a_job_of_somebody_else_is_not_found(session: Session) -> None:
    user = make_user_row(session)
    mine, system = make_job(session, created_by_id=user.id).id, make_job(session).id
    set_actor(session, Actor(user.id, Reach.own_clubs))
    assert job_view(session, mine).id == mine
    with pytest.raises(NotFound):
        job_view(session, system)


def test_an_ended_job_offers_to_go_on_and_a_running_one_to_stop(session: Session) -> None:
    now = clock.now()
    offers = {
        state: (view.can_cancel, view.can_retry)
        for state in JobState
        for view in [job_view(session, make_job(session, state=state, failed=1, started_at=now).id)]
    }
    assert offers == {
        JobState.queued: (True, False),
        JobState.running: (True, False),
        JobState.done: (False, True),
        JobState.failed: (False, True),
        JobState.cancelled: (False, True),
    }
    stopping = make_job(session, cancel_requested=True, lease_until=now + dt.timedelta(seconds=30))
    assert not job_view(session, stopping.id).can_cancel
