"""Training reports: what they are about, who may write and read them, and what happens to them with their client."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.catalog.models import Package
from enrollment_addon.core import clock, scope
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.core.translations import LOCALE
from enrollment_addon.people import hooks
from enrollment_addon.people import service as people
from enrollment_addon.people.calc import ERASED
from enrollment_addon.people.errors import ClientClosed
from enrollment_addon.people.models import Client, Participant
from enrollment_addon.schedule.calc import BookingState
from enrollment_addon.schedule.models import Booking, ScheduledSession
from enrollment_addon.training import people_hooks, queries, service
from enrollment_addon.training.models import SkillRating, TrainingReport
from tests import factories
from tests.training.conftest import DAY, Family, make_family

people_hooks.plug_in()

Write = Callable[..., TrainingReport]


@pytest.fixture
def write(session: Session, family: Family) -> Write:
    """Write about Mia's session, unless told otherwise, as its own unit of work."""

    def do(**over: Any) -> TrainingReport:
        with unit_of_work(session):
            return service.write_training_report(
                session,
                **{"participant_id": family.mia, "session_id": family.session, "worked_on": "Turns", "actor": SYSTEM,
                   **over},
            )

    return do


def verbs(session: Session) -> list[tuple[str, int | None]]:
    rows = session.scalars(select(AuditEvent).where(AuditEvent.record == "training_report").order_by(AuditEvent.id))
    return [(row.verb, row.record_id) for row in rows]


@pytest.mark.all_databases
def test_a_report_is_written_changed_and_deleted(session: Session, family: Family, write: Write) -> None:
    author = factories.make_team_member(session, name="Tom")
    session.commit()
    report = write(
        worked_on=" Turns\non both sides ", homework="", ratings={family.balance: 2, family.recall: None},
        actor=Actor(user_id=author.user_id, reach=Reach.everything),
    )
    assert (report.client_id, report.enrollment_id, report.held_on) == (family.client, family.enrollment, DAY)
    assert (report.worked_on, report.homework, report.visible_to_client) == ("Turns\non both sides", None, False)
    assert queries.author_names(session, [report]) == {author.user_id: "Tom"}
    with unit_of_work(session):
        service.update_training_report(
            session, id=report.id, actor=SYSTEM, goals="Jump", visible_to_client=True,
            held_on=dt.date(2026, 3, 1), ratings={family.recall: 5, family.balance: 3},
        )
    session.expire_all()
    assert {r.skill_id: r.rating for r in report.ratings} == {family.balance: 3, family.recall: 5}
    assert (report.goals, report.worked_on, report.author_id) == ("Jump", "Turns\non both sides", author.user_id)
    with unit_of_work(session):
        service.update_training_report(session, id=report.id, actor=SYSTEM, ratings={})
    assert session.scalars(select(SkillRating)).all() == []
    key = report.id
    with unit_of_work(session):
        service.delete_training_report(session, id=key, actor=SYSTEM)
    assert session.get(TrainingReport, key) is None
    assert verbs(session) == [
        ("write_training_report", key), ("update_training_report", key), ("update_training_report", key),
        ("delete_training_report", key),
    ]


def test_a_report_on_an_enrollment_is_for_whoever_it_is_for(
    session: Session, family: Family, write: Write
) -> None:
    with clock.frozen(dt.datetime(2026, 4, 1, 22, 30, tzinfo=dt.UTC)):
        alone = write(session_id=None, enrollment_id=family.enrollment)
    assert (alone.session_id, alone.held_on) == (None, dt.date(2026, 4, 2))
    package = session.scalars(select(Package)).one()
    shared = factories.make_enrollment(session, session.get_one(Client, family.client), package)
    gone = factories.make_enrollment(
        session, session.get_one(Client, family.client), package, deleted_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    )
    session.commit()
    write(participant_id=family.leo, session_id=None, enrollment_id=shared.id)
    found = [
        (s.participant.name, s.enrollment.id if s.enrollment else None)
        for s in queries.enrollment_subjects(session, family.client, family.enrollment)
    ]
    assert found == [
        ("Mia", family.enrollment), ("Ann Archer", shared.id), ("Mia", shared.id), ("Leo", shared.id),
    ]
    [place] = queries.session_subjects(session, family.client, (family.session, family.mia))
    assert (place.participant.name, place.session and place.session.id) == ("Mia", family.session)
    with pytest.raises(NotFound):
        write(session_id=None, enrollment_id=gone.id)
    other = make_family(session)
    session.commit()
    for about in (
        {"participant_id": family.leo, "session_id": None, "enrollment_id": family.enrollment},
        {"session_id": None, "enrollment_id": other.enrollment},
    ):
        with pytest.raises(InvalidInput) as refused:
            write(**about)
        assert set(refused.value.fields) == {"enrollment_id"}


@pytest.mark.databases("sqlite")
def test_what_does_not_fit_is_refused_by_its_field(session: Session, family: Family, write: Write) -> None:
    tomorrow = clock.now().date() + dt.timedelta(days=2)
    bad: list[tuple[str, dict[str, Any]]] = [
        ("worked_on", {"worked_on": " "}), ("worked_on", {"worked_on": "x" * 10_001}),
        ("worked_on", {"worked_on": "a\x00b"}), ("homework", {"homework": 7}), ("held_on", {"held_on": tomorrow}),
        ("held_on", {"held_on": None}), ("visible_to_client", {"visible_to_client": "yes"}),
        ("ratings", {"ratings": {family.balance: 6}}), ("ratings", {"ratings": {family.balance: 0}}),
        ("ratings", {"ratings": {family.balance: True}}), ("ratings", {"ratings": {"x": 1}}),
        ("ratings", {"ratings": [1]}), ("ratings", {"ratings": {99_999: 1}}), ("colour", {"colour": "red"}),
    ]
    report_id = write().id
    for field, wrong in bad:
        for attempt in (
            lambda wrong=wrong: write(**wrong),
            lambda wrong=wrong: service.update_training_report(session, id=report_id, actor=SYSTEM, **wrong),
        ):
            with pytest.raises(InvalidInput) as refused:
                attempt()
            assert set(refused.value.fields) == {field}, wrong
            session.rollback()
    for field, about in (
        ("session_id", {"session_id": None}), ("session_id", {"participant_id": family.leo}),
        ("participant_id", {"participant_id": None}),
    ):
        with pytest.raises(InvalidInput) as refused:
            write(**about)
        assert set(refused.value.fields) == {field}, about
    booking = session.scalars(select(Booking).where(Booking.participant_id == family.mia)).one()
    booking.state, booking.live = BookingState.late_cancel, None
    session.commit()
    with pytest.raises(InvalidInput, match="marked"):
        write()


def test_a_skill_that_is_no_longer_in_use_stays_where_it_was_rated(
    session: Session, family: Family, write: Write
) -> None:
    rated, other = write(ratings={family.balance: 4}), write()
    with unit_of_work(session):
        service.update_skill(
            session, id=family.balance, actor=SYSTEM, active=False, translations={"name": {"de": "Gleichgewicht"}}
        )
    with unit_of_work(session):
        service.update_training_report(session, id=rated.id, actor=SYSTEM, ratings={family.balance: 5})
    with pytest.raises(InvalidInput):
        service.update_training_report(session, id=other.id, actor=SYSTEM, ratings={family.balance: 5})
    session.rollback()
    with pytest.raises(InUse):
        service.delete_skill(session, id=family.balance, actor=SYSTEM)
    session.rollback()
    session.info[LOCALE] = lambda: "de"
    assert "Gleichgewicht" in map(str, queries.active_skills(session, [family.balance]))
    with unit_of_work(session):
        service.delete_skill(session, id=family.recall, actor=SYSTEM)
        made = service.create_skill(session, actor=SYSTEM, name="Trust")
    for name in ("Trust", "", None):
        with pytest.raises(InvalidInput) as refused:
            service.update_skill(session, id=family.balance, actor=SYSTEM, name=name)
        assert set(refused.value.fields) == {"name"}
        session.rollback()
    assert made.active


@pytest.mark.databases("postgresql")
def test_everybody_reads_as_far_as_they_reach_and_a_client_what_is_made_visible(
    session: Session, family: Family, write: Write
) -> None:
    hidden, shown = write(), write(visible_to_client=True)
    other = make_family(session)
    trainer = factories.make_team_member(session)
    portal = factories.make_user_row(session)
    client = session.get_one(Client, family.client)
    client.team_member_id, client.portal_user_id = trainer.id, portal.id
    session.commit()
    elsewhere = write(participant_id=other.mia, session_id=other.session)
    own = Actor(user_id=trainer.user_id, reach=Reach.own_clients, team_member_id=trainer.id)
    for actor, seen in (
        (own, {hidden.id, shown.id}), (Actor(user_id=portal.id, reach=Reach.portal), {shown.id}),
        (Actor(reach=Reach.own_clubs, club_ids=(other.club,)), {elsewhere.id}), (scope.NOBODY, set()),
    ):
        with acting_as(session, actor):
            assert set(session.scalars(select(TrainingReport.id))) == seen, actor
    scope.set_actor(session, own)
    for attempt in (
        lambda: service.update_training_report(session, id=elsewhere.id, actor=own, goals="x"),
        lambda: service.delete_training_report(session, id=elsewhere.id, actor=own),
        lambda: write(participant_id=other.mia, session_id=other.session, actor=own),
        lambda: write(session_id=other.session, actor=own),
        lambda: write(session_id=None, enrollment_id=other.enrollment, actor=own),
    ):
        with pytest.raises(NotFound):
            attempt()
        session.rollback()


def test_reports_follow_their_client_through_merge_export_and_erasure(
    session: Session, family: Family, write: Write
) -> None:
    target = make_family(session, first_name="Anne")
    session.commit()
    own = factories.make_booking(
        session, session.get_one(ScheduledSession, family.session), session.get_one(Participant, family.ann)
    )
    session.commit()
    of_ann, of_mia = write(participant_id=own.participant_id), write(ratings={family.balance: 4}, homework="Ride")
    assert "training reports" in hooks.client_holders.of(session, [family.client])
    assert "training reports" not in hooks.client_holders.of(session, [target.client])
    with pytest.raises(InUse, match="training reports"):
        people.delete_participant(session, id=family.mia, actor=SYSTEM)
    session.rollback()
    with unit_of_work(session):
        merged = people.merge_clients(
            session, source_id=family.client, target_id=target.client, actor=SYSTEM, reason="same person"
        )
    assert merged["moved"]["training.reports"] == 2
    session.expire_all()
    assert [(r.client_id, r.participant_id) for r in (of_ann, of_mia)] == [
        (target.client, target.ann), (target.client, family.mia),
    ]
    exported = people.export_client_data(session, client_id=target.client, actor=SYSTEM)["training_reports"]
    assert [(row["homework"], row["held_on"], list(row["ratings"].values())) for row in exported] == [
        (None, "2026-03-03", []), ("Ride", "2026-03-03", [4]),
    ]
    with unit_of_work(session):
        people.erase_client(
            session, client_id=target.client, reason="asked", typed_name="Anne Archer", actor=SYSTEM
        )
    session.expire_all()
    assert (of_mia.worked_on, of_mia.homework, of_mia.goals) == (ERASED, ERASED, None)
    with pytest.raises(ClientClosed):
        service.update_training_report(session, id=of_mia.id, actor=SYSTEM, goals="x")
