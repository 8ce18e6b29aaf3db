"""Event types: what credits are good for."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.catalog import queries, service
from enrollment_addon.catalog.models import EventKind, EventType
from enrollment_addon.core.errors import InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.core.translations import LOCALE, Translation, translations_of
from enrollment_addon.credits import people_hooks
from tests import factories

people_hooks.plug_in()


def add(session: Session, **over: Any) -> EventType:
    return service.create_event_type(session, actor=SYSTEM, **{"name": "Puppy class", **over})


def names(session: Session, text: str, **over: int) -> list[str]:
    return [item.name for item in queries.search_event_types(session, text, **over)]


def test_an_event_type_speaks_the_readers_language(session: Session) -> None:
    item = add(
        session, kind="appointment", duration_minutes=45, colour="#1F6FEB",
        translations={"name": {"de": " Welpenkurs ", "ar": "صف الجراء", "fr": ""}},
    )
    assert (item.kind, item.duration_minutes, item.colour) == (EventKind.appointment, 45, "#1f6feb")
    assert translations_of(session, item) == {"name": {"ar": "صف الجراء", "de": "Welpenkurs"}}
    session.info[LOCALE] = lambda: "de"
    assert str(item) == "Welpenkurs"
    service.update_event_type(session, id=item.id, actor=SYSTEM, translations={"name": {"de": None}})
    assert str(item) == "Puppy class"
    assert translations_of(session, item) == {"name": {"ar": "صف الجراء"}}


def test_search_finds_the_name_and_its_translations(session: Session) -> None:
    add(session, translations={"name": {"de": "Welpenkurs"}})
    add(session, name="Agility")
    add(session, name="Old class", active=False)
    assert names(session, "welp") == ["Puppy class"]
    assert names(session, "CLASS pup") == ["Puppy class"]
    first = names(session, "", limit=1)
    [agility] = queries.search_event_types(session, "", limit=1)
    assert first + names(session, "", after=agility.id) == ["Agility", "Puppy class"]
    assert [item.name for item in queries.active_event_types(session)] == ["Agility", "Puppy class"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "Taken"), ("name", "x" * 121), ("kind", "party"), ("kind", None),
        ("duration_minutes", 0), ("duration_minutes", 1441), ("duration_minutes", "60"),
        ("duration_minutes", True), ("colour", "red"), ("colour", "#12345"), ("colour", "#12345g"),
        ("active", "yes"), ("translations", {"colour": {"de": "x"}}), ("translations", {"name": "x"}),
        ("translations", {"name": {"xx-nowhere": "x"}}), ("translations", {"name": {"de": "x" * 121}}),
        ("translations", ["de"]), ("price", 1),
    ],
)
def test_a_bad_event_type_is_refused_by_its_field(session: Session, field: str, value: Any) -> None:
    add(session, name="Taken")
    other = add(session, name="Other")
    for verb in (
        lambda: add(session, **{field: value}),
        lambda: service.update_event_type(session, id=other.id, actor=SYSTEM, **{field: value}),
    ):
        with pytest.raises(InvalidInput) as refused:
            verb()
        assert list(refused.value.fields) == [field]


def test_an_event_type_with_credits_stays(session: Session) -> None:
    item = add(session, translations={"name": {"de": "Welpenkurs"}})
    spare = add(session, name="Spare", translations={"name": {"de": "Ersatz"}})
    factories.make_lot(session, factories.make_client(session), item)
    with pytest.raises(InUse, match="session credits"):
        service.delete_event_type(session, id=item.id, actor=SYSTEM)
    service.delete_event_type(session, id=spare.id, actor=SYSTEM)
    assert session.scalars(select(Translation.text)).all() == ["Welpenkurs"]
    for verb in (service.delete_event_type, service.update_event_type):
        with pytest.raises(NotFound):
            verb(session, id=spare.id, actor=SYSTEM)
