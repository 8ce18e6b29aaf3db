"""Rules that hold for every table of the add-on."""

import pytest
from sqlalchemy import Table

from enrollment_addon.core.db import Base, metadata

TABLES = list(metadata.tables.values())
LONGEST_NAME = 63
"""PostgreSQL cuts longer names; MariaDB refuses more than 64."""


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_names_are_ours_and_fit_every_database(table: Table) -> None:
    names = [str(item.name) for item in (*table.constraints, *table.indexes)]
    assert table.name.startswith("enrollment_")
    assert all(table.name in name for name in names), names
    assert all(len(name) <= LONGEST_NAME for name in (table.name, *names)), names


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_foreign_key_says_what_a_deletion_does_and_is_indexed(table: Table) -> None:
    led_by = {index.columns[0].name for index in table.indexes}
    for constraint in table.constraints:
        columns = list(getattr(constraint, "columns", ()))
        if columns and not constraint.__visit_name__.startswith(("foreign", "check")):
            led_by.add(columns[0].name)
    for key in table.foreign_keys:
        assert key.ondelete, f"{key.parent}: ON DELETE is spelled out"
        assert key.parent.name in led_by, f"{key.parent}: a deletion would read the whole table"


def test_every_record_of_a_client_is_under_the_row_scope() -> None:
    models = [mapper.class_ for mapper in Base.registry.mappers]
    of_clients = [model for model in models if "client_id" in model.__table__.c]
    assert of_clients
    assert [model.__name__ for model in of_clients if not hasattr(model, "__scope__")] == []
