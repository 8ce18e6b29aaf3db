"""Every word is translated: a missing, fuzzy or malformed message fails, and so does a catalog not compiled."""

import io
from functools import cache
from pathlib import Path

import pytest
from babel.messages import extract
from babel.messages.catalog import Catalog
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
LOCALES = ("ar", "de", "es", "fr")
FOLDER = ROOT / "translations"
KEYWORDS = {**extract.DEFAULT_KEYWORDS, "_l": None, "lazy_gettext": None, "lazy_pgettext": ((1, "c"), 2)}


@cache
def source() -> Catalog:
    """All messages of the code and the templates."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    catalog = Catalog()
    for _file, _line, message, _comments, context in extract.extract_from_dir(ROOT, methods, options, KEYWORDS):
        catalog.add(message, context=context)
    assert len(catalog) > 100, "the code's messages were found"
    return catalog


def path_of(locale: str, suffix: str = "po") -> Path:
    return FOLDER / locale / "LC_MESSAGES" / f"messages.{suffix}"


def read(locale: str) -> Catalog:
    with path_of(locale).open("rb") as file:
        return read_po(file, locale=locale)


def mistakes(catalog: Catalog) -> list[str]:
    """What is wrong with a catalog, in words."""
    said = []
    for wanted in source():
        found = catalog.get(wanted.id, wanted.context) if wanted.id else None
        if wanted.id and found is None:
            said.append(f"missing: {wanted.id}")
        elif found is not None and not all(found.string if isinstance(found.string, tuple) else (found.string,)):
            said.append(f"not translated: {wanted.id}")
    said += [f"fuzzy: {message.id}" for message in catalog if message.fuzzy and message.id]
    listed = [message for message in catalog if message.id]
    said += [f"used nowhere: {m.id}" for m in listed if source().get(m.id, m.context) is None]
    said += [f"malformed: {message.id}: {error}" for message, errors in catalog.check() for error in errors]
    return said


def test_there_is_a_catalog_for_each_language_and_no_other() -> None:
    assert sorted(p.name for p in FOLDER.iterdir() if (p / "LC_MESSAGES").is_dir()) == list(LOCALES)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_message_is_translated_well(locale: str) -> None:
    assert mistakes(read(locale)) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_the_compiled_catalog_is_that_of_the_source(locale: str) -> None:
    """Compiled catalogs are committed, so that every way of installing has them."""
    written = io.BytesIO()
    write_mo(written, read(locale))
    with path_of(locale, "mo").open("rb") as file:
        compiled = {(str(m.id), m.context): str(m.string) for m in read_mo(file) if m.id}
    written.seek(0)
    assert compiled == {(str(m.id), m.context): str(m.string) for m in read_mo(written) if m.id}, "run: make compile"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c, m: c.delete(m.id), "missing"),
        (lambda c, m: setattr(m, "string", ""), "not translated"),
        (lambda c, m: m.flags.add("fuzzy"), "fuzzy"),
        (lambda c, m: c.add("no longer used", "nicht mehr"), "used nowhere"),
        (lambda c, m: setattr(m, "string", "%(other)s"), "malformed"),
    ],
)
def test_a_mistake_in_a_catalog_is_noticed(change, told: str) -> None:  # type: ignore[no-untyped-def]
    catalog = Catalog("de")
    for message in source():
        strings = tuple(message.id) if isinstance(message.id, tuple) else message.id
        catalog.add(message.id, strings, context=message.context, flags=message.flags)
    with_placeholder = next(m for m in catalog if isinstance(m.id, str) and "%(" in m.id)
    before = mistakes(catalog)
    change(catalog, with_placeholder)
    assert next(line for line in mistakes(catalog) if line not in before).startswith(told)
