"""A trainer writes a report from the roster, the client's card and the enrollment show it, and it is printed."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from enrollment_addon.core import roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.people.models import Client
from enrollment_addon.training.models import TrainingReport
from tests import factories
from tests.conftest import csrf_token
from tests.training.conftest import Family, make_family

pytestmark = pytest.mark.databases("sqlite")

ADD = "/enrollment/training-reports/add"


@pytest.fixture
def families(app: Flask, make_user: Callable[..., int]) -> tuple[Family, Family]:
    """Tom's family, whose head reads Arabic, and one that is not his."""
    user_id = make_user("tom", [roles.TEAM])
    make_user("kim", [roles.CLIENT])
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            tom = factories.make_team_member(session, user_id=user_id, name="Tom")
            return make_family(session, team_member_id=tom.id, locale="ar"), make_family(session, first_name="Bob")


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text[:2000]
    return html.unescape(answer.text)


def test_a_report_from_the_roster_to_the_printer(
    app: Flask, http: FlaskClient, login: Callable[..., FlaskClient], families: tuple[Family, Family]
) -> None:
    mine, other = families
    login(http, "tom")
    roster = text_of(http.get(f"/enrollment/sessions/show/{mine.session}"))
    [url] = re.findall(rf'href="({ADD}[^"]*)"', roster)
    form = text_of(http.get(url))
    assert f'<option selected value="session-{mine.session}-{mine.mia}">Mia – ' in form
    assert 'value="2026-03-03"' in form, "the session's day by the club's clock"
    typed = {
        "csrf_token": csrf_token(form), "about": f"session-{mine.session}-{mine.mia}", "held_on": "2026-03-03",
        "worked_on": "Turns\non <both> sides", "homework": "Ride", f"skill_{mine.balance}": "4",
        f"skill_{mine.recall}": "",
    }
    refused = text_of(http.post(url, data={**typed, "worked_on": "", "homework": "Keep me"}), 422)
    assert "Keep me" in refused
    shown = text_of(http.post(url, data=typed, follow_redirects=True))
    assert "The training report was saved." in shown
    assert "Turns\non <both> sides" in shown
    assert "4 of 5" in shown
    with app.app_context():
        key = app.appbuilder.session.execute(select(TrainingReport.id)).scalar_one()  # type: ignore[attr-defined]
    for page in (f"/enrollment/clients/show/{mine.client}", f"/enrollment/enrollments/show/{mine.enrollment}",
                 "/enrollment/training-reports/list/?search=arch"):
        assert f"/enrollment/training-reports/show/{key}" in text_of(http.get(page)), page
    assert "Training report written" in text_of(http.get(f"/enrollment/clients/show/{mine.client}"))
    edit = f"/enrollment/training-reports/edit/{key}"
    changed = {**typed, "visible_to_client": "y", "goals": "Jump", f"skill_{mine.balance}": "5"}
    changed["csrf_token"] = csrf_token(text_of(http.get(edit)))
    assert "5 of 5" in text_of(http.post(edit, data=changed, follow_redirects=True))
    printed = text_of(http.get(f"/enrollment/training-reports/print/{key}"))
    assert '<html lang="ar" dir="rtl">' in printed  # the client's language; the buttons are in the reader's
    assert '<nav class="screen-only" lang="en" dir="ltr">' in printed
    assert ">Print</button>" in printed
    assert "navbar" not in printed
    rows = text_of(http.get("/enrollment/training-reports/export/csv")).splitlines()
    assert "Mia" in rows[1]
    assert "Tom" in rows[1]
    gone = f"/enrollment/training-reports/delete/{key}"
    asked = text_of(http.get(gone))
    assert "Delete the training report of Mia?" in asked
    assert "was deleted" in text_of(
        http.post(gone, data={"csrf_token": csrf_token(asked)}, follow_redirects=True)
    )
    for way in (f"{ADD}?client_id={other.client}", f"{ADD}?client_id={other.client}&about=session-{other.session}-1"):
        assert http.get(way).status_code == 404, way


def test_a_report_begins_with_the_client_or_the_enrollment(
    app: Flask, http: FlaskClient, login: Callable[..., FlaskClient], families: tuple[Family, Family]
) -> None:
    mine, _other = families
    login(http, "tom")
    form = text_of(http.get(ADD))
    chosen = http.post(ADD, data={"csrf_token": csrf_token(form), "client_id": str(mine.client)})
    assert chosen.headers["Location"] == f"{ADD}?client_id={mine.client}"
    offered = text_of(http.get(chosen.headers["Location"]))
    assert f'value="enrollment-{mine.enrollment}-{mine.mia}"' in offered
    enrollment = text_of(http.get(f"/enrollment/enrollments/show/{mine.enrollment}"))
    [url] = re.findall(rf'href="({ADD}[^"]*)"', enrollment)
    assert f'<option selected value="enrollment-{mine.enrollment}-{mine.mia}">' in text_of(http.get(url))
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            tom = session.get(Client, mine.client).team_member_id
            nothing = factories.make_client(session, team_member_id=tom).id
    told = text_of(http.get(f"{ADD}?client_id={nothing}", follow_redirects=True))
    assert "no session and no enrollment yet" in told


def test_without_the_permission_there_is_no_way_to_write(
    app: Flask, http: FlaskClient, login: Callable[..., FlaskClient], families: tuple[Family, Family]
) -> None:
    mine, _other = families
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            mia = session.get(factories.Participant, mine.mia)
            key = factories.make_training_report(session, mia, session_id=mine.session).id
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        held = security.find_permission_view_menu("can_write_training_reports", "Enrollment")
        security.del_permission_role(security.find_role(roles.TEAM), held)
    login(http, "tom")
    for page in (f"/enrollment/sessions/show/{mine.session}", f"/enrollment/clients/show/{mine.client}",
                 f"/enrollment/enrollments/show/{mine.enrollment}", "/enrollment/training-reports/list/"):
        assert ADD not in text_of(http.get(page)), page
    shown = text_of(http.get(f"/enrollment/training-reports/show/{key}"))
    ways = [f"{ADD}?client_id={mine.client}", f"/enrollment/training-reports/edit/{key}",
            f"/enrollment/training-reports/delete/{key}"]
    for way in ways:
        assert way not in shown
        assert http.get(way).status_code == 403, way
    http.get("/logout/")
    login(http, "kim")
    for way in (*ways, f"/enrollment/training-reports/print/{key}", "/enrollment/training-reports/list/",
                "/enrollment/skills/list/", "/enrollment/skills/add"):
        assert http.get(way).status_code == 403, way
