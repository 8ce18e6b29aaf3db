"""Forms generated from a model's columns, with the field types that the framework's own get wrong.

A form only reads and checks what was typed; what it means is decided by the domain's service.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from babel.numbers import NumberFormatError, format_decimal, parse_decimal
from flask_appbuilder.forms import DynamicForm
from flask_babel import lazy_gettext as _l
from markupsafe import Markup, escape
from sqlalchemy import Boolean, Date, Integer, String, Text
from wtforms import (
    BooleanField,
    DateField,
    DateTimeLocalField,
    Field,
    HiddenField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from ..fields import is_whole, not_whole
from .render import locale_name

REQUIRED = _l("Please fill this in.")
Options = Sequence[tuple[str, Any]] | Callable[[], Sequence[tuple[str, Any]]]
"""Values with their labels; what makes them is asked for each form, in the reader's language."""


class Form(DynamicForm):  # type: ignore[misc]
    """Base of the add-on's forms; protected by a token even where the host switched protection off."""

    class Meta(DynamicForm.Meta):  # type: ignore[misc,name-defined]
        csrf = True

    form_errors: list[str]

    def add_errors(self, fields: Mapping[str, Any], general: Any = None) -> None:
        """Show what a service refused: at the fields it named, the rest above the form."""
        rest = []
        for name, message in fields.items():
            if name in self._fields:
                self._fields[name].errors = [*self._fields[name].errors, str(message)]
            else:
                rest.append(str(message))
        if rest or (general is not None and not fields):
            self.form_errors = [*self.form_errors, *rest, *([str(general)] if general and not fields else [])]


def reason_field(*, required: bool = True) -> Any:
    """Why a verb is done, in the length that the audit keeps."""
    return StringField(_l("Reason"), validators=[InputRequired(REQUIRED) if required else Optional(), Length(max=500)])


class ReasonForm(Form):
    """For a verb that asks for a reason and nothing else."""

    reason = reason_field()


class Flag(BooleanField):
    """A tick box that may be left empty (the framework demands a tick for every NOT NULL column)."""

    false_values = (False, "false", "", "0", "off")


class Confirmation(Flag):
    """A box to tick that what was refused is meant; it is there once a refusal asked for it (macros.html)."""


class Choice(SelectField):
    """One of a list. `options` are (value, label), or make them; a value outside is an error, not a crash."""

    def __init__(self, label: Any = None, *, options: Options, optional: bool = False, **kw: Any):
        found = options() if callable(options) else options
        choices = [SelectChoice(*option) for option in ((("", "—"), *found) if optional else found)]
        super().__init__(label, choices=choices, coerce=lambda v: str(v) if v is not None else "", **kw)

    def admit(self, held: str | None, called: str) -> None:
        """Let a record keep what it holds, also where the list no longer has it: saving loses nothing."""
        if held and held not in {choice.value for choice in self.choices}:
            self.choices.append(SelectChoice(held, called))

    def pre_validate(self, form: Any) -> None:
        if (self.data or "") not in {choice.value for choice in self.choices}:
            raise ValidationError(str(_l("Please choose one of the list.")))

    @property
    def value(self) -> str | None:
        return self.data or None


class Whole(IntegerField):
    """A whole number within bounds, both inclusive; whatever else was typed is told them and stays in the form."""

    def __init__(self, label: Any = None, validators: Any = None, *, low: int, high: int, **kw: Any):
        shown = {"min": low, "max": high, "inputmode": "numeric", **(kw.pop("render_kw", None) or {})}
        refusal = not_whole(low, high)
        super().__init__(label, validators, invalid_value_message=refusal, render_kw=shown, **kw)
        self.low, self.high, self.refusal = low, high, refusal

    def pre_validate(self, form: Any) -> None:
        if self.data is not None and not is_whole(self.data, self.low, self.high):
            raise ValidationError(self.refusal)


class Amount(StringField):
    """A decimal number, such as an amount of money, typed as the reader's language writes it; `data` is exact."""

    data: Any

    def process_formdata(self, valuelist: list[str]) -> None:
        text = "".join(valuelist).strip()
        self.data = _decimal(text) if text else None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        if self.data is None:
            return ""
        return format_decimal(self.data, "0." + "0" * -self.data.as_tuple().exponent, locale=locale_name())


def _decimal(text: str) -> Decimal:
    """The number as the reader's language writes it, else as computers do. Raises: ValueError."""
    try:
        return parse_decimal(text, locale=locale_name(), strict=True)
    except NumberFormatError:
        try:
            return Decimal(text)
        except InvalidOperation:
            raise ValueError(str(_l("This is not a number."))) from None


class LocalDateTime(DateTimeLocalField):
    """A date and time as the club's clock shows it; `data` is the aware instant in UTC.

    An hour that daylight saving skips is refused; of one that comes twice the first is meant.
    """

    data: Any

    def __init__(self, label: Any = None, *, timezone: Callable[[], str], **kw: Any):
        super().__init__(label, format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"], **kw)
        self.timezone = timezone

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata(valuelist)
        if self.data is not None and self.data.tzinfo is None:
            zone = ZoneInfo(self.timezone())
            try:
                instant = self.data.replace(tzinfo=zone).astimezone(dt.UTC)
                shown = instant.astimezone(zone).replace(tzinfo=None)
            except OverflowError:
                raise ValueError(self.gettext("Not a valid datetime value.")) from None
            if shown != self.data:
                raise ValueError(str(_l("This hour does not exist that day: the clocks are put forward.")))
            self.data = instant

    def _value(self) -> str:
        if self.raw_data:
            return " ".join(self.raw_data)
        return self.data.astimezone(ZoneInfo(self.timezone())).strftime("%Y-%m-%dT%H:%M") if self.data else ""


class Source(NamedTuple):
    """Where the options of a reference come from. All three functions see only what the person reaches.

    `search(session, text, limit, offset)` and `named(session, keys)` return (key, text, small print) rows;
    the search takes `permission` on `menu`, the record's own.
    """

    name: str
    menu: str
    search: Callable[..., Sequence[tuple[int, str, str]]]
    named: Callable[..., Sequence[tuple[int, str, str]]]
    permission: str = "read"


sources: dict[str, Source] = {}


def register_source(source: Source) -> None:
    sources[source.name] = source


class _ReferenceWidget:
    """A select that holds the chosen option only; the script finds others by asking the server."""

    def __call__(self, bound: "Reference", **kwargs: Any) -> Markup:
        from flask import url_for

        kwargs.pop("class_", None)
        attributes = {
            "id": bound.id,
            "name": bound.name,
            "data-enr-ajax": url_for("OptionsView.options", source=bound.source),
            "data-placeholder": str(_l("Type to search")),
            **({"multiple": "multiple"} if bound.multiple else {}),
            **({"required": "required"} if bound.flags.required and not bound.multiple else {}),
            **{k.replace("_", "-"): v for k, v in kwargs.items()},
        }
        parts = [f'{k}="{escape(v)}"' for k, v in attributes.items()]
        options = [
            f'<option value="{key}" selected>{escape(text)}</option>' for key, text, _ in bound.chosen_options()
        ]
        if not bound.multiple:
            options.insert(0, '<option value=""></option>')
        return Markup(f"<select {' '.join(parts)}>{''.join(options)}</select>")  # noqa: S704 - every part is escaped


class Reference(Field):
    """The key of another record, chosen by searching; a key out of the person's reach is an error."""

    widget = _ReferenceWidget()
    multiple = False

    def __init__(self, label: Any = None, *, source: str, **kw: Any):
        super().__init__(label, **kw)
        self.source = source

    def keys(self) -> list[int]:
        return [] if self.data is None else [self.data]

    def chosen_options(self) -> Sequence[tuple[int, str, str]]:
        from .access import current_session

        keys = [key for key in self.keys() if isinstance(key, int)]
        return sources[self.source].named(current_session(), keys) if keys else ()

    def process_formdata(self, valuelist: list[str]) -> None:
        keys = []
        for text in valuelist:
            if text.strip():
                if not text.strip().isdecimal() or len(text) > 18:
                    raise ValueError(str(_l("Please choose one of the list.")))
                keys.append(int(text))
        self.data = self._shape(keys)

    def _shape(self, keys: list[int]) -> Any:
        return keys[0] if keys else None

    def pre_validate(self, form: Any) -> None:
        if len(self.chosen_options()) != len(set(self.keys())):
            raise ValidationError(str(_l("Please choose one of the list.")))


class References(Reference):
    """Several keys; `data` is a list."""

    multiple = True

    def keys(self) -> list[int]:
        return list(self.data or [])

    def _shape(self, keys: list[int]) -> Any:
        return keys


@dataclass(frozen=True)
class Input:
    """One field of a generated form: a column's name and what the column itself can't say."""

    name: str
    label: Any
    help: Any = ""
    choices: Options | None = None
    source: str | None = None
    multiple: bool = False
    required: bool | None = None
    widget: str | None = None
    make: Callable[..., Field] | None = None
    low: int | None = None
    high: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def form_for(model: Any, inputs: Sequence[Input], *, name: str) -> type[Form]:
    """A form class with one field per input, typed, bounded and required as the model's columns are."""
    members: dict[str, Any] = {entry.name: _field_for(model, entry) for entry in inputs}
    return type(name, (Form,), members)


def _field_for(model: Any, entry: Input) -> Any:
    column = model.__table__.c.get(entry.name) if model is not None else None
    required = entry.required
    if required is None:
        required = column is not None and not column.nullable and column.default is None
    checks: list[Any] = [InputRequired(REQUIRED)] if required else [Optional()]
    common: dict[str, Any] = {"description": entry.help, "validators": checks, "render_kw": dict(entry.attributes)}
    if entry.make is not None:
        return entry.make(entry.label, **common)
    if entry.source is not None:
        return (References if entry.multiple else Reference)(entry.label, source=entry.source, **common)
    if entry.choices is not None:
        return Choice(entry.label, options=entry.choices, optional=not required, **common)
    kind = column.type if column is not None else String(200)
    if isinstance(kind, Boolean):
        return Flag(entry.label, description=entry.help, render_kw=common["render_kw"])
    if isinstance(kind, Date):
        return DateField(entry.label, **common)
    if isinstance(kind, Integer):
        assert entry.low is not None, f"{entry.name} needs bounds"
        assert entry.high is not None, f"{entry.name} needs bounds"
        return Whole(entry.label, low=entry.low, high=entry.high, **common)
    if isinstance(kind, Text) or entry.widget == "textarea":
        checks.append(Length(max=20_000 if isinstance(kind, Text) else kind.length))
        return TextAreaField(entry.label, filters=[_stripped], **common)
    checks.append(Length(max=getattr(kind, "length", None) or 200))
    return StringField(entry.label, filters=[_stripped], **common)


def _stripped(value: Any) -> Any:
    """Text without surrounding space; what a record holds is left alone when it is no text."""
    return (value.replace("\x00", "").strip() or None) if isinstance(value, str) else value


def values(form: Form) -> dict[str, Any]:
    """What was typed, by field, without the form's own fields."""
    return {
        name: (bound.value if isinstance(bound, Choice) else bound.data)
        for name, bound in form._fields.items()
        if name != "csrf_token" and not isinstance(bound, HiddenField)
    }
