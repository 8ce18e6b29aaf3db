"""Households, merging, erasing and exporting, as somebody at a browser does it; and who may not."""

import ast
import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from babel.dates import format_date
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

import enrollment_addon
from enrollment_addon.core import clock, roles
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.people.client_pages import DEFAULT_TEXTS
from enrollment_addon.people.hooks import TimelineItem
from enrollment_addon.people.models import Client, Household
from enrollment_addon.people.parts import client_parts
from enrollment_addon.people.service import update_client
from tests import factories
from tests.core.web.conftest import AsUser, World, content, writes

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def zoe(world: World, session: Session) -> int:
    """A client without a household, whom Nora reaches."""
    ann = session.get_one(Client, world.ann)
    zoe = factories.make_client(
        session, club_id=ann.club_id, team_member_id=ann.team_member_id, first_name="Zoë", last_name="Zander",
        phone="+49301234567",
    )
    session.commit()
    return zoe.id


def test_a_household_from_its_founding_to_its_end(
    world: World, session: Session, as_user: AsUser, zoe: int
) -> None:
    nora, home = as_user("nora"), world.own["HouseholdView"]
    page = f"/enrollment/households/show/{home}"
    joined = nora.post(f"/enrollment/households/join/{home}", {"client_id": zoe, "relationship": "sibling"})
    assert joined.headers["Location"] == page
    assert "Zoë Zander" in content(nora.get(page))
    head = content(nora.get(page)).partition("</header>")[0]
    assert head.index("Edit") < head.index("Change head") < head.index("Delete"), "what takes something away is last"
    assert f'href="{page}"' in content(nora.get(f"/enrollment/households/edit/{home}")), "the way back to the record"
    again = nora.post(f"/enrollment/households/join/{home}", {"client_id": zoe, "relationship": "sibling"})
    assert again.status_code == 422
    assert "Nothing was saved yet." in content(again)

    partner = session.scalars(select(Client.id).where(Client.last_name == "of Ann")).one()
    form = {"head_id": zoe, f"relationship_{world.ann}": "sibling", f"relationship_{partner}": "other"}
    changed = nora.post(f"/enrollment/households/head/{home}", form)
    assert changed.status_code == 302
    session.rollback()
    assert session.get_one(Household, home).head_id == zoe
    assert session.get_one(Client, world.ann).relationship_to_head == "sibling"

    left = nora.post(f"/enrollment/households/leave/{home}/{world.ann}")
    assert left.headers["Location"] == page
    assert "The client left the household." in content(nora.get(page))
    assert nora.post(f"/enrollment/households/leave/{home}/{zoe}").status_code == 302
    assert "Zoë Zander" in content(nora.get(page)), "the head stays"
    assert nora.post(f"/enrollment/households/delete/{home}").status_code == 302
    assert nora.get(page).status_code == 404


def test_a_head_is_one_of_the_members(app: Flask, world: World, as_user: AsUser, zoe: int) -> None:
    nora = as_user("nora")
    with writes(app) as changed:
        for head in (zoe, world.bob, world.ann, "", "x"):
            page = nora.post(f"/enrollment/households/head/{world.own['HouseholdView']}", {"head_id": head})
            assert page.status_code == 422, head
    assert changed == []


def test_merging_shows_what_happens_and_then_does_it(
    world: World, session: Session, as_user: AsUser, zoe: int
) -> None:
    nora, url = as_user("nora"), f"/enrollment/clients/merge/{zoe}"
    assert "Merge Zoë Zander with another record" in content(nora.get(url))
    preview = nora.post(url, {"other_id": world.ann})
    assert preview.status_code == 200
    said = content(preview)
    for text in ("Merge Zoë Zander into Ann Archer", "+49301234567", 'name="take_last_name" value="target"'):
        assert text in said, text
    key = re.findall(r'name="idempotency_key" value="(\w+)"', said)[0]
    form = {"other_id": world.ann, "take_phone": "source", "take_last_name": "target", "idempotency_key": key}
    unreasoned = nora.post(url, {**form, "reason": ""})
    assert unreasoned.status_code == 422
    assert re.search(r'name="take_phone" value="source"\s+checked', content(unreasoned)), "the choice is kept"
    session.rollback()
    assert session.get_one(Client, zoe).merged_into_id is None
    done = nora.post(url, {**form, "reason": "Entered twice"})
    assert done.headers["Location"] == f"/enrollment/clients/show/{world.ann}"
    session.rollback()
    assert session.get_one(Client, zoe).merged_into_id == world.ann
    assert session.get_one(Client, world.ann).phone == "+49301234567"
    assert session.get_one(Client, world.ann).last_name == "Archer"


def test_a_merge_with_nonsense_changes_nothing(app: Flask, world: World, as_user: AsUser, zoe: int) -> None:
    nora, url = as_user("nora"), f"/enrollment/clients/merge/{zoe}"
    with writes(app) as changed:
        for other in (world.bob, 10**6):
            assert nora.post(url, {"other_id": other, "reason": "Because"}).status_code == 404
            assert nora.get(f"{url}?other_id={other}").status_code == 404
        itself = nora.post(url, {"other_id": zoe, "reason": "Because"}, follow_redirects=True)
        assert "Zoë Zander" in content(itself)
        for keep in ({"take_email": "banana"}, {"take_id": "source"}, {"take_": "target"}):
            assert nora.post(url, {"other_id": world.ann, "reason": "Because", **keep}).status_code == 422, keep
    assert changed == []


def test_erasing_asks_for_the_name_and_a_reason(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    nora, portal, url = as_user("nora"), as_user("portal"), f"/enrollment/clients/erase/{world.ann}"
    with writes(app) as changed:
        for typed in (
            {"typed_name": "", "reason": "Asked"}, {"typed_name": "Ann", "reason": "Asked"},
            {"typed_name": "Bob Baker", "reason": "Asked"}, {"typed_name": "Ann Archer", "reason": ""},
        ):
            page = nora.post(url, typed)
            assert page.status_code == 422, typed
            assert f'value="{typed["typed_name"]}"' in content(page)
        head = nora.post(url, {"typed_name": "Ann Archer", "reason": "Asked for it"})
        assert "Choose another head first." in content(head)
    assert changed == []
    nora.post(f"/enrollment/households/delete/{world.own['HouseholdView']}")
    assert nora.post(url, {"typed_name": "Ann Archer", "reason": "Asked for it"}).status_code == 302
    nora.get("/enrollment/households/list/")  # shows the notices, which name the household
    card = nora.get(f"/enrollment/clients/show/{world.ann}")
    assert "Archer" not in content(card)
    assert "Personal data erased" in content(card)
    session.rollback()
    assert session.get_one(Client, world.ann).email is None
    assert portal.http.get("/enrollment/clients/list/").status_code == 302, "the portal account is logged out"
    assert nora.post(url, {"typed_name": "Ann Archer", "reason": "Again"}).status_code in (409, 422)


def test_exporting_goes_on_record(world: World, session: Session, as_user: AsUser) -> None:
    nora, url = as_user("nora"), f"/enrollment/clients/data/{world.ann}"
    query = select(AuditEvent.actor_id).where(AuditEvent.verb == "export_client_data")
    assert "Download the data" in content(nora.get(url))
    assert session.scalars(query).all() == []
    answer = nora.post(url)
    names = zipfile.ZipFile(io.BytesIO(answer.get_data())).namelist()
    assert any(name.endswith(".json") for name in names)
    session.rollback()
    assert session.scalars(query).all() == [world.nora_user]
    assert nora.post(f"/enrollment/clients/data/{world.bob}").status_code == 404


VERBS = {"merge_clients": "merge", "erase_client_data": "erase", "export_client_data": "data"}


def test_each_verb_takes_its_own_permission(
    app: Flask, world: World, as_user: AsUser, make_user: Callable[..., int], zoe: int
) -> None:
    """Somebody with every permission but one."""
    forms: dict[str, Any] = {
        "merge": {"other_id": zoe, "reason": "Because"}, "erase": {"typed_name": "Ann Archer", "reason": "Because"},
        "data": {},
    }
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        for verb in VERBS:
            all_held = security.find_role(roles.OWNER).permissions
            security.add_role(f"All but {verb}", [held for held in all_held if held.permission.name != f"can_{verb}"])
    for verb, path in VERBS.items():
        make_user(verb, [f"All but {verb}"])
        visitor, url = as_user(verb), f"/enrollment/clients/{path}/{world.ann}"
        card = content(visitor.get(f"/enrollment/clients/show/{world.ann}"))
        assert [p for p in VERBS.values() if f"/clients/{p}/" in card] == [p for p in VERBS.values() if p != path]
        with writes(app) as changed:
            assert visitor.get(url).status_code == 403
            assert visitor.post(url, forms[path]).status_code == 403
        assert changed == []


def test_a_household_names_nobody_to_those_who_may_not_read_clients(
    app: Flask, world: World, as_user: AsUser, make_user: Callable[..., int]
) -> None:
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        left_out = ("can_read", "EnrollmentClient")
        all_held = security.find_role(roles.OWNER).permissions
        security.add_role(
            "All but clients", [held for held in all_held if (held.permission.name, held.view_menu.name) != left_out]
        )
        home = app.appbuilder.session.get(Client, world.ann).household_id  # type: ignore[attr-defined]
    make_user("ines", ["All but clients"])
    owner, ines = as_user("owner"), as_user("ines")
    pages = f"/enrollment/households/show/{home}", "/enrollment/households/list/"
    for page in pages:
        assert "Ann Archer" in content(owner.get(page))
        assert "Archer home" in content(ines.get(page))
        assert "Ann Archer" not in content(ines.get(page))
    assert "ann@" not in content(ines.get(pages[0]))
    assert ines.get(f"/enrollment/households/head/{home}").status_code == 403
    members = f"/api/v1/enrollment/households/{home}/members"
    assert [visitor.get(members).status_code for visitor in (owner, ines)] == [200, 403]


def test_the_card_says_who_the_client_is(world: World, session: Session, as_user: AsUser) -> None:
    """What is not known is left out; since when somebody looks after them is told by the last change of it."""
    nora, owner, url = as_user("nora"), as_user("owner"), f"/enrollment/clients/show/{world.ann}"
    before = content(nora.get(url))
    assert "with Nora" in before
    assert "since" not in before
    assert "household Archer home (head)" in before
    assert "household Archer home (head)" not in content(nora.get(url.replace(str(world.ann), str(
        session.scalars(select(Client.id).where(Client.last_name == "of Ann")).one()
    ))))
    values = {"birth_date": dt.date(1990, 2, 28), "locale": "de", "tags": ["vip", "knee"], "notes": "Likes\nmornings"}
    other = factories.make_team_member(session, name="Uma").id
    with unit_of_work(session):
        for member in (other, session.get_one(Client, world.ann).team_member_id):
            update_client(session, id=world.ann, actor=SYSTEM, team_member_id=member, **values)
    card = content(nora.get(url))
    for said in ("Feb 28, 1990", "German", "vip, knee", "Likes\nmornings", "Portal Test"):
        assert f"<bdi>{said}</bdi>" in card, said
    assert f"with Nora since {format_date(clock.today('Europe/Berlin'), locale='en')}" in card
    assert "Details" in content(owner.get(url))


def written_about_clients() -> set[tuple[str, str]]:
    """Every verb that is noted with a client, and the package that writes it; read off the code."""
    found = set()
    for package in ("people", "billing", "schedule", "enrollments", "training"):
        for path in (Path(enrollment_addon.__file__).parent / package).rglob("*.py"):
            for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                named = {keyword.arg: keyword.value for keyword in call.keywords}
                values: list[ast.AST] = [named["verb"]] if "verb" in named and "client_id" in named else []
                values += call.args if name in ("_note", "_record", "note") else []
                texts = (n.value for value in values for n in ast.walk(value) if isinstance(n, ast.Constant))
                found |= {(package, text) for text in texts if isinstance(text, str)}
    return found


def test_every_verb_on_a_client_has_words_of_its_own(app: Flask) -> None:
    """One without them would be told in English to everybody."""
    found = written_about_clients()
    assert {("people", "erase_client_data"), ("schedule", "book"), ("enrollments", "undo_enrollment")} <= found
    assert len(found) > 35
    details = {"amount": 100, "currency": "EUR", "what": "Lesson", "state": "attended", "package": "Ten"}
    with app.test_request_context():
        tells = [part.tell for part in client_parts() if part.tell]
        for package, verb in sorted(found):
            record = "enrollment" if package == "enrollments" else package
            item = TimelineItem(clock.now(), verb, None, record, 1, None, details)
            assert verb in DEFAULT_TEXTS or any(tell(item) for tell in tells), verb
    assert {"archive_client", "unarchive_client", "update_client"} <= DEFAULT_TEXTS.keys()


def test_an_archived_client_is_hidden_but_not_gone(world: World, session: Session, as_user: AsUser) -> None:
    nora = as_user("nora")
    ann = {"first_name": "Ann", "last_name": "Archer", "club_id": world.own["ClubView"], "archived": "y"}
    member = session.get_one(Client, world.ann).team_member_id
    assert nora.post(f"/enrollment/clients/edit/{world.ann}", {**ann, "team_member_id": member}).status_code == 302
    nora.get("/enrollment/clients/list/")  # which still has the notice
    assert "Ann Archer" not in content(nora.get("/enrollment/clients/list/"))
    assert "Ann Archer" in content(nora.get("/enrollment/clients/list/?_flt_0_archived=1"))
    assert nora.get("/enrollment/options/clients?q=archer").get_json()["results"] == []
    child, rest = "Child of Ann", "/api/v1/enrollment"
    for query, there in (("", False), ("_flt_0_archived=1", True), (f"_flt_0_client_id={world.ann}", True)):
        assert (child in content(nora.get(f"/enrollment/participants/list/?{query}"))) is there, query
        assert (child in nora.get(f"/enrollment/participants/export/csv?{query}").text) is there, query
    for records, shown in (("clients", "Archer"), ("participants", child)):
        assert shown not in nora.get(f"{rest}/{records}").text, records
        assert shown in nora.get(f"{rest}/{records}?q=(filters:!((col:archived,opr:eq,value:!t)))").text, records
    assert nora.get(f"{rest}/clients/{world.ann}").status_code == 200
    card = nora.get(f"/enrollment/clients/show/{world.ann}")
    assert "Archived" in content(card)
    assert "/credits/add/" not in content(card)
