"""What a record is called in the further languages of the host: in forms, and over REST."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from babel import Locale
from flask import current_app, g
from flask_babel import lazy_gettext as _l

from ..core.translations import translations_of, translations_of_all
from ..core.web import access
from ..core.web.forms import Form, StringField, form_for
from ..core.web.views import RecordView

LANGUAGE = "_in_"
IN_LANGUAGES = _l("In other languages")
LABELS: Mapping[str, Callable[[str], Any]] = {
    "name": lambda language: _l("Name (%(language)s)", language=language),
    "description": lambda language: _l("Description (%(language)s)", language=language),
}


class TranslatedView(RecordView):
    """A generated view whose form has one more field per language for each of the `translated` fields."""

    translated: ClassVar[tuple[str, ...]] = ("name",)

    def language_fields(self) -> dict[str, Any]:
        """The further fields, by name."""
        codes = [c for c in current_app.config["LANGUAGES"] if c != current_app.config["BABEL_DEFAULT_LOCALE"]]
        return {
            name + LANGUAGE + code: StringField(LABELS[name](_language(code)))
            for name in self.translated for code in codes
        }

    def _init_forms(self) -> None:
        more = self.language_fields()
        base = form_for(self.model, self.inputs, name=f"{type(self).__name__}Form")
        self.add_form = self.edit_form = type(f"{type(self).__name__}TranslatedForm", (base,), more)
        self.groups = ((None, tuple(i.name for i in self.inputs)), (IN_LANGUAGES, tuple(more)))

    def typed_in(self, form: Form) -> dict[str, Any]:
        typed = super().typed_in(form)
        names: dict[str, dict[str, Any]] = {name: {} for name in self.translated}
        for field in [f for f in typed if LANGUAGE in f]:
            name, _, code = field.partition(LANGUAGE)
            names[name][code] = typed.pop(field)
        return {**typed, "translations": names}

    def fill(self, form: Form, item: Any) -> None:
        for name, texts in translations_of(self.session, item).items():
            for code, text in texts.items():
                if name + LANGUAGE + code in form._fields:
                    form._fields[name + LANGUAGE + code].data = text


class TranslatedApi:
    """Mixin of a REST class: an answer has the translations of its record, by field and language."""

    def prepare(self, items: Sequence[Any]) -> None:
        super().prepare(items)  # type: ignore[misc]
        g.enrollment_texts = translations_of_all(access.current_session(), items)

    def dump(self, item: Any) -> Any:
        return {**super().dump(item), "translations": g.enrollment_texts.get(item.id, {})}  # type: ignore[misc]


def _language(code: str) -> str:
    return Locale.parse(code).get_display_name(code) or code
