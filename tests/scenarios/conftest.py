"""A studio with people in every role, for the stories."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from enrollment_addon.core import roles
from enrollment_addon.core.db import unit_of_work
from tests import factories


@dataclass
class Studio:
    """Keys of what the story is about: 40 clients uptown (10 of them Jonas’s), 5 downtown."""

    uptown: int
    downtown: int
    yoga: int
    clients: list[int]
    jonas: int
    jonas_clients: list[int]
    downtown_clients: list[int]


@pytest.fixture
def studio(app: Flask, make_user: Callable[..., int]) -> Studio:
    make_user("ana", [roles.OWNER])
    jonas_user = make_user("jonas", [roles.TEAM])
    return make_studio(app, jonas_user)


def make_studio(app: Flask, jonas_user: int) -> Studio:
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            uptown = factories.make_club(session, name="Uptown")
            downtown = factories.make_club(session, name="Downtown", timezone="America/New_York", currency="USD")
            jonas = factories.make_team_member(session, user_id=jonas_user, name="Jonas Weber")
            yoga = factories.make_event_type(session, name="Yoga class")
            clients = [
                factories.make_client(
                    session, club_id=uptown.id, first_name=f"Maya {n:02}", last_name="Fischer",
                    team_member_id=jonas.id if n < 10 else None,
                )
                for n in range(40)
            ]
            others = [
                factories.make_client(session, club_id=downtown.id, last_name="Miller") for _ in range(5)
            ]
            return Studio(
                uptown=uptown.id, downtown=downtown.id, yoga=yoga.id, clients=[c.id for c in clients],
                jonas=jonas.id, jonas_clients=[c.id for c in clients[:10]],
                downtown_clients=[c.id for c in others],
            )


@pytest.fixture
def ana(http: FlaskClient, login: Callable[..., FlaskClient], studio: Studio) -> FlaskClient:
    return login(http, "ana")


@pytest.fixture
def jonas(app: Flask, login: Callable[..., FlaskClient], studio: Studio) -> FlaskClient:
    return login(app.test_client(), "jonas")


def balances(app: Flask) -> dict[int, int]:
    """Available credits by client, as the database has them."""
    from sqlalchemy import func, select

    from enrollment_addon.credits.models import CreditBalance

    with app.app_context():
        rows: Any = app.appbuilder.session.execute(  # type: ignore[attr-defined]
            select(CreditBalance.client_id, func.sum(CreditBalance.available)).group_by(CreditBalance.client_id)
        )
        return {row[0]: int(row[1]) for row in rows}


def assert_ledger_is_consistent(app: Flask) -> None:
    from enrollment_addon.credits.service import check_ledger

    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        assert list(check_ledger(session)) == []
