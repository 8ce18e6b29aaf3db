"""Packages: what is sold where, in the reader's language, at an exact price."""

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.catalog import queries, service
from enrollment_addon.core.errors import InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.core.translations import LOCALE
from tests import factories


def test_a_package_is_offered_where_it_is_sold_and_speaks_the_readers_language(session: Session) -> None:
    north, south = factories.make_club(session), factories.make_club(session)
    abroad = factories.make_club(session, currency="JPY")
    yoga = factories.make_event_type(session)
    terms = {"event_type_id": yoga.id, "sessions": 10, "currency": "EUR", "actor": SYSTEM}
    here = service.create_package(
        session, name="Yoga ten", description="Ten classes", price="150.50", club_ids=[north.id],
        translations={"name": {"de": "Zehnerkarte"}, "description": {"de": "Zehn Kurse"}}, **terms,
    )
    anywhere = service.create_package(session, name="Anywhere", price=0, **terms)

    def offered(club_id: int) -> list[int]:
        return [package.id for package in queries.offered_packages(session, club_id)]

    assert here.price == 15_050
    assert offered(north.id) == [anywhere.id, here.id]
    assert (offered(south.id), offered(abroad.id)) == ([anywhere.id], []), "a club sells in its own currency"
    service.update_package(session, id=anywhere.id, active=False, actor=SYSTEM)
    assert offered(south.id) == []
    session.info[LOCALE] = lambda: "de"
    assert (str(here), here.about) == ("Zehnerkarte", "Zehn Kurse")
    assert [p.id for p in queries.search_packages(session, "zehner")] == [here.id]
    with pytest.raises(InvalidInput) as refused:
        service.update_package(session, id=here.id, price="1.005", currency="JPY", actor=SYSTEM)
    assert list(refused.value.fields) == ["price"]
    service.register_event_type_holder("packages", service.event_types_in_packages)
    with pytest.raises(InUse, match="packages"):
        service.delete_event_type(session, id=yoga.id, actor=SYSTEM)
    service.delete_package(session, id=here.id, actor=SYSTEM)
    with pytest.raises(NotFound):
        service.delete_package(session, id=here.id, actor=SYSTEM)
