"""List actions: forged keys, tampered searches, verbs one may not use. Nothing of it changes anything."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment_addon.credits.models import CreditLot
from tests import factories
from tests.core.web.conftest import AsUser, World, content, writes

ACTION = "/enrollment/clients/action_post"
VOID = "/enrollment/lots/action_post"


def terms(world: World, **over: Any) -> dict[str, Any]:
    return {
        "event_type_id": world.own["EventTypeView"], "quantity": 2, "expiry": "none", "unit_value": "0", **over
    }


def lots_of(session: Session, client_id: int) -> int:
    session.rollback()
    count: int = session.execute(
        select(func.count()).select_from(CreditLot).where(CreditLot.client_id == client_id)
    ).scalar_one()
    return count


@pytest.mark.databases("sqlite")
def test_an_unknown_action_is_not_found(world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    for action in ("", "no_such_verb", "delete", "muldelete", "undo_batch", "\x00"):
        assert owner.post(ACTION, {"action": action, "rowid": world.ann}).status_code == 404, action


@pytest.mark.databases("sqlite")
def test_an_action_takes_the_permission_of_its_verb(app: Flask, world: World, as_user: AsUser) -> None:
    sam = as_user("sam")
    with writes(app) as changed:
        refused = sam.post(VOID, {"action": "void_session_credits", "rowid": world.foreign["LotView"]})
    assert refused.status_code == 403
    assert changed == []
    assert "void_session_credits" not in content(sam.get("/enrollment/lots/list/"))
    assert "void_session_credits" in content(as_user("owner").get("/enrollment/lots/list/"))


@pytest.mark.databases("sqlite")
def test_without_a_ticked_row_nothing_happens_but_a_hint(app: Flask, world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    for junk in ({}, {"rowid": ""}, {"rowid": "x,-1,,1.5"}, {"rowid": "9" * 40}):
        with writes(app) as changed:
            assert owner.post(ACTION, {"action": "add_session_credits", **junk}).status_code == 302
        assert changed == []
    assert "Please tick at least one row first." in content(owner.get("/enrollment/clients/list/"))
    many = ",".join(str(n) for n in range(1, 2500))
    assert owner.post(ACTION, {"action": "add_session_credits", "rowid": many}).status_code == 422


def test_forged_keys_get_nothing_and_tell_nothing(world: World, session: Session, as_user: AsUser) -> None:
    nora, deleted = as_user("nora"), 10**6
    for key in (world.bob, deleted):
        assert nora.post(ACTION, {"action": "add_session_credits", "rowid": key}).status_code == 404
        assert nora.post("/enrollment/credits/save", terms(world, rowid=key)).status_code == 404
        assert nora.get(f"/enrollment/credits/add/{key}").status_code == 404
    both = f"{world.bob},{deleted}"
    page = nora.post(ACTION, {"action": "add_session_credits", "rowid": both})
    assert "Baker" not in page.text
    refused = nora.post("/enrollment/credits/save", terms(world, rowid=both))
    assert refused.status_code == 422
    assert lots_of(session, world.bob) == 1
    mixed = nora.post("/enrollment/credits/save", terms(world, rowid=f"{world.bob},{world.ann},{deleted}"))
    assert mixed.status_code == 302
    assert (lots_of(session, world.ann), lots_of(session, world.bob)) == (2, 1)
    batch = nora.get(mixed.headers["Location"])
    assert "Baker" not in batch.text
    assert f"Number {world.bob}" in content(batch), "left out like a key that never was"


def test_forged_lots_are_not_taken_back(world: World, session: Session, as_user: AsUser) -> None:
    nora, own, foreign = as_user("nora"), world.own["LotView"], world.foreign["LotView"]
    assert nora.post(VOID, {"action": "void_session_credits", "rowid": foreign}).status_code == 404
    page = nora.post(VOID, {"action": "void_session_credits", "rowid": f"{own},{foreign}"})
    assert "Take back 10 credits" in content(page), "only what is in reach is counted"
    for keys in (str(foreign), f"{foreign},99999", "99999", "", "x"):
        refused = nora.post("/enrollment/lots/take-back", {"rowid": keys, "reason": "Because"})
        assert refused.status_code in (404, 422), keys
    session.rollback()
    assert session.scalars(select(CreditLot.available)).all() == [10, 10]
    taken = nora.post("/enrollment/lots/take-back", {"rowid": f"{own},{foreign},99999", "reason": "Because"})
    assert taken.status_code == 302
    session.rollback()
    assert session.get_one(CreditLot, own).available == 0
    assert session.get_one(CreditLot, foreign).available == 10


TAMPERED = [
    {"_flt_0_club_id": "north"},
    {"_flt_0_club_id": str(2**70)},
    {"_flt_9_club_id": "1"},
    {"_flt_0_klub_id": "1"},
    {"_flt_x_club_id": "1"},
    {"_flt_0_archived": "perhaps"},
    {"_flt_0_birth_date": "yesterday"},
    {"_flt_0_first_name": "a\x00b"},
    {"_flt_0_first_name": "a" * 300},
    {"search": "a" * 5000},
    {f"junk{n}": "1" for n in range(200)},
    [("_flt_0_first_name", str(n)) for n in range(30)],
]


@pytest.mark.databases("sqlite")
def test_all_that_match_a_tampered_search_is_refused_and_not_widened(
    app: Flask, world: World, as_user: AsUser
) -> None:
    owner = as_user("owner")
    with writes(app) as changed:
        for arguments in TAMPERED:
            posted = {"all": "1", "filter": urlencode(arguments)}
            assert owner.post("/enrollment/credits/save", {**posted, **terms(world)}).status_code == 422, arguments
            assert owner.post(VOID, {"action": "void_session_credits", **posted}).status_code == 422, arguments
            assert owner.get(f"/enrollment/clients/export/csv?{posted['filter']}").status_code == 422, arguments
    assert changed == []


def test_all_that_match_means_the_matches_in_reach(world: World, session: Session, as_user: AsUser) -> None:
    sam = as_user("sam")
    session.get_one(factories.Client, world.bob).tags = ["vip"]
    session.get_one(factories.Client, world.ann).tags = ["vip"]
    session.commit()
    posted = {"all": "1", "filter": urlencode({"_flt_0_tag": "vip", "page_ClientView": 3})}
    preview = sam.post("/enrollment/credits/preview", {**posted, **terms(world)})
    assert "1 client" in preview.text
    assert sam.post("/enrollment/credits/save", {**posted, **terms(world)}).status_code == 302
    assert (lots_of(session, world.ann), lots_of(session, world.bob)) == (1, 2)
    everybody = sam.post("/enrollment/credits/save", {"all": "1", "filter": "", **terms(world)})
    assert everybody.status_code == 302
    assert (lots_of(session, world.ann), lots_of(session, world.bob)) == (1, 3)


def test_the_same_form_sent_twice_gives_once_and_its_key_is_the_persons_own(
    world: World, session: Session, as_user: AsUser
) -> None:
    nora, owner = as_user("nora"), as_user("owner")
    form = terms(world, rowid=world.ann, idempotency_key="0" * 32)
    assert [nora.post("/enrollment/credits/save", form).status_code for _ in range(2)] == [302, 302]
    assert lots_of(session, world.ann) == 2
    assert owner.post("/enrollment/credits/save", form).status_code == 302
    assert lots_of(session, world.ann) == 3, "another person’s form is another request"
    changed = nora.post("/enrollment/credits/save", {**form, "quantity": 3})
    assert changed.status_code == 409
    for junk in ("\x00", "x" * 5000, "'; --", "🙂"):
        assert nora.post("/enrollment/credits/save", {**form, "idempotency_key": junk}).status_code == 302
