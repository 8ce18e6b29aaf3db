"""What a file says, as plain calculation: which column is which field, and what a cell means."""

import datetime as dt
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from ...core.errors import InvalidInput
from ..calc import MOST_CREDITS

Cell = Any
"""A cell as it is staged: text, a number, or `{"date": "2027-01-31"}` for a cell of a workbook that is a date."""

CLIENT_FIELDS = (
    "first_name", "last_name", "email", "phone", "birth_date", "locale", "club", "team_member", "tags", "notes",
)
CREDIT_FIELDS = ("event_type", "quantity", "expires_on", "unit_value")
FIELDS = (*CLIENT_FIELDS, "reference", *CREDIT_FIELDS)
LONGEST_REFERENCE = 120
SHOWN = 80
"""How much of a cell a reason repeats."""

HEADERS: Mapping[str, str] = {
    "first_name": "first name|firstname|given name|forename|vorname|prénom|nombre|nombre de pila|الاسم الأول|الاسم",
    "last_name": "last name|lastname|surname|family name|nachname|familienname|nom|nom de famille|apellido|apellidos|"
    "اسم العائلة|الكنية",
    "email": "email|e mail|mail|email address|e mail adresse|adresse e mail|courriel|correo|correo electrónico|"
    "البريد الإلكتروني|بريد إلكتروني",
    "phone": "phone|phone number|mobile|telephone|telefon|telefonnummer|handy|mobil|téléphone|portable|teléfono|móvil|"
    "الهاتف|رقم الهاتف|الجوال",
    "birth_date": "birth date|birthdate|date of birth|birthday|dob|geburtsdatum|geburtstag|date de naissance|"
    "fecha de nacimiento|تاريخ الميلاد",
    "locale": "language|locale|sprache|langue|idioma|lengua|اللغة",
    "club": "club|location|studio|standort|filiale|site|établissement|centro|sede|local|النادي|الفرع|الموقع",
    "team_member": "team member|trainer|coach|staff|teammitglied|betreuer|membre de l équipe|coach responsable|"
    "miembro del equipo|entrenador|عضو الفريق|المدرب",
    "tags": "tags|tag|labels|schlagwörter|etiketten|étiquettes|mots clés|etiquetas|الوسوم|العلامات",
    "notes": "notes|note|comment|comments|notizen|notiz|bemerkung|bemerkungen|remarques|commentaire|notas|nota|"
    "observaciones|ملاحظات|الملاحظات",
    "reference": "external reference|reference|external id|id|client id|customer number|kundennummer|externe referenz|"
    "referenz|référence|référence externe|numéro de client|referencia|referencia externa|número de cliente|"
    "المرجع|المرجع الخارجي|رقم العميل",
    "event_type": "event type|service|class|terminart|leistung|kurs|type de séance|type d événement|prestation|"
    "tipo de sesión|tipo de evento|servicio|clase|نوع الحدث|نوع الجلسة|الخدمة",
    "quantity": "credits|quantity|session credits|balance|sessions|einheiten|anzahl|guthaben|crédits|quantité|solde|"
    "créditos|cantidad|saldo|الرصيد|الكمية|عدد الجلسات",
    "expires_on": "expires on|expiry|expiry date|expires|valid until|gültig bis|ablaufdatum|läuft ab am|ablauf|"
    "expire le|date d expiration|valable jusqu au|caduca el|fecha de caducidad|vencimiento|válido hasta|"
    "تاريخ الانتهاء|صالح حتى",
    "unit_value": "unit cost|unit value|unit price|price per credit|value|einzelwert|stückpreis|einzelpreis|wert|"
    "coût unitaire|valeur unitaire|prix unitaire|coste unitario|valor unitario|precio unitario|تكلفة الوحدة|"
    "سعر الوحدة",
}
"""How the columns of a file may be called, in the languages of the add-on."""


def plain(text: str) -> str:
    """A header or name for comparing: no case, no accents, no punctuation."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return " ".join(re.sub(r"[\W_]+", " ", kept).split())


_KNOWN = {plain(word): name for name, words in HEADERS.items() for word in words.split("|")}


def guess(header: Sequence[str]) -> dict[str, int]:
    """The column of each field that a header names; of two columns for one field the first."""
    found: dict[str, int] = {}
    for place, title in enumerate(header):
        name = _KNOWN.get(plain(title)) or (title.strip() if title.strip() in FIELDS else None)
        if name is not None:
            found.setdefault(name, place)
    return found


class Options(NamedTuple):
    """How the columns of one file are read. `club_id` is where clients go whose row names no club."""

    columns: Mapping[str, int]
    club_id: int | None = None
    dates: str = "ymd"
    decimal: str = "."

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": dict(self.columns), "club_id": self.club_id, "dates": self.dates, "decimal": self.decimal,
        }


def cell_text(cell: Cell) -> str:
    """A cell as text: what a person sees in the file, numbers with a point, dates year first."""
    if cell is None:
        return ""
    if isinstance(cell, Mapping):
        return str(cell["date"])
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell).strip()


def parse_date(cell: Cell, order: str) -> dt.date | None:
    """A day in the chosen order or as ISO 8601; None for an empty cell. Raises: InvalidInput."""
    text = cell_text(cell)
    if not text:
        return None
    parts = re.fullmatch(r"(\d{1,4})\s*[./-]\s*(\d{1,2})\s*[./-]\s*(\d{1,4})", text)
    try:
        if isinstance(cell, Mapping) or re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return dt.date.fromisoformat(text[:10])
        if parts is not None:
            named = dict(zip(order, parts.groups(), strict=True))
            if len(named["y"]) == 4:
                return dt.date(int(named["y"]), int(named["m"]), int(named["d"]))
    except ValueError:
        pass
    raise InvalidInput(_l("“%(text)s” is not a date in the chosen format."), text=text[:SHOWN])


def parse_number(cell: Cell, decimal: str) -> Decimal | None:
    """A number with the chosen decimal sign, thousands grouped or not; None if empty. Raises: InvalidInput."""
    text = cell_text(cell)
    if not text:
        return None
    if isinstance(cell, str):
        other = "," if decimal == "." else "."
        text = re.sub(rf"(?<=\d)[\s'’\u00a0\u202f{re.escape(other)}](?=\d{{3}}(?!\d))", "", text)
        text = text.replace(decimal, ".") if other not in text else "?"
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidInput(_l("“%(text)s” is not a number."), text=cell_text(cell)[:SHOWN])
    return number


@dataclass(frozen=True)
class Said:
    """What one row says: text of the client's fields, and its credits if it has any.

    `client` holds only what is not empty; `quantity` is None when the row has no credits.
    """

    number: int
    client: Mapping[str, Any]
    event_type: str = ""
    quantity: int | None = None
    expires_on: dt.date | None = None
    unit_value: Decimal = field(default_factory=Decimal)


def said(number: int, cells: Sequence[Cell], options: Options) -> Said:
    """Read one row. Raises: InvalidInput for a cell that can't be read."""

    def cell(name: str) -> Cell:
        place = options.columns.get(name)
        return cells[place] if place is not None and place < len(cells) else None

    client: dict[str, Any] = {
        name: text
        for name in CLIENT_FIELDS
        if name not in ("birth_date", "tags") and (text := cell_text(cell(name)))
    }
    if (born := parse_date(cell("birth_date"), options.dates)) is not None:
        client["birth_date"] = born
    if tags := [tag.strip() for tag in re.split("[;,|]", cell_text(cell("tags"))) if tag.strip()]:
        client["tags"] = tags
    reference = cell_text(cell("reference"))
    if len(reference) > LONGEST_REFERENCE:
        raise InvalidInput(_l("The external reference is longer than %(most)s characters."), most=LONGEST_REFERENCE)
    return _credits(Said(number, client, cell_text(cell("event_type"))), cell, options)


def _credits(row: Said, cell: Any, options: Options) -> Said:
    """The row with its credits. An event type without a quantity, or the other way round, is half a balance."""
    quantity = _quantity(cell("quantity"), options.decimal)
    if not quantity and (quantity is not None or not row.event_type):
        return row
    if quantity is None:
        raise InvalidInput(_l("The row has an event type, but no number of credits."))
    if not row.event_type:
        raise InvalidInput(_l("The row has credits, but no event type."))
    return Said(
        row.number, row.client, row.event_type, quantity, parse_date(cell("expires_on"), options.dates),
        parse_number(cell("unit_value"), options.decimal) or Decimal(),
    )


def _quantity(cell: Cell, decimal: str) -> int | None:
    """A number of credits; 0 and None are no credits. Raises: InvalidInput, which says the bounds."""
    wrong = InvalidInput(_l("“%(text)s” is not a number of credits from 1 to 1000."), text=cell_text(cell)[:SHOWN])
    try:
        number = parse_number(cell, decimal)
    except InvalidInput:
        raise wrong from None
    if number is None:
        return None
    if number != number.to_integral_value() or not 0 <= number <= MOST_CREDITS:
        raise wrong
    return int(number)


def text_of(cells: Sequence[Cell], name: str, options: Options) -> str:
    """What a row says in the column of a field, as text."""
    place = options.columns.get(name)
    return cell_text(cells[place]) if place is not None and place < len(cells) else ""


def club_of(cells: Sequence[Cell], options: Options, clubs: Mapping[str, int]) -> int | None:
    """The club that a row puts its client into, by the keys of the clubs by name; None for one that is unknown."""
    name = text_of(cells, "club", options)
    return clubs.get(name.casefold()) if name else options.club_id


class KnownBy(StrEnum):
    """What tells whose rows these are."""

    reference = "reference"
    email = "email"
    name = "name"
    row = "row"


def known_by(cells: Sequence[Cell], options: Options) -> KnownBy:
    """The external reference, else the e-mail, else the name; a row without any is somebody of their own."""
    for known in (KnownBy.reference, KnownBy.email):
        if text_of(cells, known, options):
            return known
    return KnownBy.name if any(_names(cells, options)) else KnownBy.row


def _names(cells: Sequence[Cell], options: Options) -> list[str]:
    return [plain(text_of(cells, name, options)) for name in ("first_name", "last_name")]


def identity(
    import_id: int, number: int, cells: Sequence[Cell], options: Options, clubs: Mapping[str, int]
) -> str:
    """What all rows of one person have in common; by name it takes the same club, birth date and phone too.

    A digest, so that what was imported can be recognized without keeping what it said.
    """
    known = known_by(cells, options)
    match known:
        case KnownBy.reference:
            key: list[Any] = [text_of(cells, known, options)]
        case KnownBy.email:
            key = [text_of(cells, known, options).lower()]
        case KnownBy.name:
            club = club_of(cells, options, clubs)
            phone = re.sub(r"\D", "", text_of(cells, "phone", options))
            key = [club, *_names(cells, options), text_of(cells, "birth_date", options), phone]
        case _:
            key = [str(import_id), str(number)]
    return digest([known, *key])


def digest(value: Any) -> str:
    """A fingerprint of a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def merged(group: Sequence[Said]) -> tuple[dict[str, Any], dict[int, tuple[str, int]]]:
    """What the rows of one person say together, and which rows contradict an earlier one: (field, its number)."""
    together: dict[str, Any] = {}
    told_by: dict[str, int] = {}
    contradictions: dict[int, tuple[str, int]] = {}
    for row in group:
        against = next((n for n, v in row.client.items() if n in together and together[n] != v), None)
        if against is not None:
            contradictions[row.number] = (against, told_by[against])
            continue
        for name, value in row.client.items():
            if name not in together:
                together[name], told_by[name] = value, row.number
    return together, contradictions


class Terms(NamedTuple):
    """Opening credits as a row states them; `unit_value` in minor units of the client's currency."""

    event_type_id: int
    quantity: int
    expires_on: dt.date | None
    unit_value: int


class Matched(NamedTuple):
    """What becomes of one wanted balance: nothing (`old` says the same), a change of `old`, or a new lot."""

    number: int
    terms: Terms
    old: Any = None
    same: bool = False


def match_credits(wanted: Sequence[tuple[int, Terms]], known: Sequence[tuple[Any, Terms]]) -> list[Matched]:
    """Pair what the rows of one client want with what earlier imports gave them.

    First what is the same in every respect; what is left over of the same event type changes in order; the rest
    is new. What an earlier file gave and this one does not mention is left alone.
    """
    left = list(known)
    result: dict[int, Matched] = {}
    for number, terms in wanted:
        found = next((pair for pair in left if pair[1] == terms), None)
        if found is not None:
            left.remove(found)
            result[number] = Matched(number, terms, found[0], same=True)
    for number, terms in wanted:
        if number not in result:
            other = next((pair for pair in left if pair[1].event_type_id == terms.event_type_id), None)
            if other is not None:
                left.remove(other)
            result[number] = Matched(number, terms, other[0] if other else None)
    return [result[number] for number, _ in wanted]
