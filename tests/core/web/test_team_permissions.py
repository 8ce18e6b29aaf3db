"""The Team permissions page: what is ticked holds on the next request; nothing else can be changed through it."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from enrollment_addon.core import roles
from enrollment_addon.core.audit import AuditEvent
from tests.core.web.conftest import AsUser, Visitor, World, content, writes

pytestmark = pytest.mark.databases("sqlite")

PAGE, SAVE = "/enrollment/team-permissions/", "/enrollment/team-permissions/save"


def role_key(session: Session, name: str) -> int:
    key: int = session.execute(text("SELECT id FROM ab_role WHERE name = :name"), {"name": name}).scalar_one()
    return key


def matrix(visitor: Visitor) -> dict[str, Any]:
    """What the page's form would send as it stands."""
    page = content(visitor.get(PAGE))
    form: dict[str, Any] = {"verb": re.findall(r'name="verb" value="(\w+)"', page)}
    form.update(re.findall(r'name="(held-\d+)" value="([\w ]*)"', page))
    for box in re.findall(r'<input type="checkbox"[^>]*>', page):
        name, verb = re.findall(r'name="(role-\d+)" value="(\w+)"', box)[0]
        if " checked" in box and " disabled" not in box:
            form.setdefault(name, []).append(verb)
    return form


def test_saving_the_page_as_it_stands_changes_nothing(app: Flask, world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    form = matrix(owner)
    assert len(form["verb"]) > 8
    with writes(app) as changed:
        assert owner.post(SAVE, form).status_code == 302
    assert changed == []
    assert "Nothing was changed." in content(owner.get(PAGE))


def test_a_tick_holds_from_the_next_request(world: World, session: Session, as_user: AsUser) -> None:
    owner, sam = as_user("owner"), as_user("sam")
    lot, team = world.foreign["LotView"], f"role-{role_key(session, roles.TEAM)}"
    void, grant = f"/enrollment/lots/void/{lot}", f"/enrollment/credits/add/{world.bob}"
    assert (sam.get(void).status_code, sam.get(grant).status_code) == (403, 200)
    form = matrix(owner)
    changes = len(form[team]) + 1
    form[team] = ["void_session_credits"]
    owner.post(SAVE, form)
    assert f"{changes} permissions were changed." in content(owner.get(PAGE))
    assert (sam.get(void).status_code, sam.get(grant).status_code) == (200, 403)
    assert "/credits/add/" not in content(sam.get(f"/enrollment/clients/show/{world.bob}"))
    owner.post(SAVE, {**matrix(owner), team: []})
    assert (sam.get(void).status_code, sam.get(grant).status_code) == (403, 403)
    noted = session.scalars(select(AuditEvent).where(AuditEvent.verb == "change_permission")).all()
    assert {(e.details["permission"], e.details["granted"]) for e in noted} >= {
        ("void_session_credits", True), ("void_session_credits", False), ("add_session_credits", False),
    }


def test_a_page_that_was_open_for_long_takes_nobody_elses_changes_back(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    owner, other = as_user("owner"), as_user("owner")
    team, manager = (f"role-{role_key(session, name)}" for name in (roles.TEAM, roles.MANAGER))
    stale = matrix(owner)
    changed = matrix(other)
    changed[team] = [*changed[team], "void_session_credits"]
    changed[manager].remove("merge_clients")
    with app.app_context():  # a role that holds none of the verbs yet is not on the page
        desk = app.appbuilder.sm.add_role("Desk").id  # type: ignore[attr-defined]
    other.post(SAVE, changed)
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        undo = security.find_permission_view_menu("can_undo_batch", "Enrollment")
        security.add_permission_role(security.find_role("Desk"), undo)
    stale[team].remove("add_session_credits")
    owner.post(SAVE, stale)
    assert "1 permission was changed." in content(owner.get(PAGE))
    now = matrix(owner)
    assert "void_session_credits" in now[team]
    assert "add_session_credits" not in now[team]
    assert "merge_clients" not in now[manager]
    assert now[f"role-{desk}"] == ["undo_batch"]


def test_the_owners_own_key_stays(world: World, session: Session, as_user: AsUser) -> None:
    owner = as_user("owner")
    form = {**matrix(owner), f"role-{role_key(session, roles.OWNER)}": []}
    owner.post(SAVE, form)
    assert owner.get(PAGE).status_code == 200
    assert owner.get(f"/enrollment/clients/erase/{world.ann}").status_code == 403, "the other verbs are gone"


def test_forged_cells_are_ignored(app: Flask, world: World, session: Session, as_user: AsUser) -> None:
    owner, held = as_user("owner"), text("SELECT count(*) FROM ab_permission_view_role")
    before = session.execute(held).scalar_one()
    form = matrix(owner)
    admin, client = role_key(session, "Admin"), role_key(session, roles.CLIENT)
    team = f"role-{role_key(session, roles.TEAM)}"
    forged = {
        **form, "verb": [*form["verb"], "can_edit", "no_such_verb", "menu_access"],
        f"role-{admin}": ["undo_batch"], f"role-{client}": ["undo_batch"], "role-99999": ["undo_batch"],
        "role-x": ["undo_batch"], team: [*form.get(team, []), "can_edit", "no_such_verb", "add", "\x00"],
    }
    with writes(app) as changed:
        assert owner.post(SAVE, forged).status_code == 302
    assert changed == []
    session.rollback()
    assert session.execute(held).scalar_one() == before
    with writes(app) as changed:
        owner.post(SAVE, {team: ["undo_batch"]})
    assert changed == [], "verbs that the page did not show are not taken away or given"


def test_only_who_may_manage_permissions_does(app: Flask, world: World, session: Session, as_user: AsUser) -> None:
    form = {"verb": ["undo_batch"], f"role-{role_key(session, roles.TEAM)}": ["undo_batch"]}
    for name in ("manager", "sam", "portal", "stranger"):
        visitor = as_user(name)
        visitor.get("/enrollment/clients/list/")
        with writes(app) as changed:
            assert visitor.get(PAGE).status_code == 403
            assert visitor.post(SAVE, form).status_code == 403
        assert changed == []
