"""Form fields for what a record is called in the further languages of the host."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from babel import Locale
from flask import current_app
from flask_babel import lazy_gettext as _l

from ..core.translations import translations_of
from ..core.web.forms import Form, StringField, form_for
from ..core.web.views import RecordView

LANGUAGE = "_in_"
LABELS: Mapping[str, Callable[[str], Any]] = {
    "name": lambda language: _l("Name (%(language)s)", language=language),
    "description": lambda language: _l("Description (%(language)s)", language=language),
}


class TranslatedView(RecordView):
    """A generated view whose form has one more field per language for each of the `translated` fields."""

    translated: ClassVar[tuple[str, ...]] = ("name",)

    def _init_forms(self) -> None:
        codes = [c for c in current_app.config["LANGUAGES"] if c != current_app.config["BABEL_DEFAULT_LOCALE"]]
        more = {
            name + LANGUAGE + code: StringField(LABELS[name](_language(code)))
            for name in self.translated for code in codes
        }
        base = form_for(self.model, self.inputs, name=f"{type(self).__name__}Form")
        self.add_form = self.edit_form = type(f"{type(self).__name__}TranslatedForm", (base,), more)
        self.groups = ((None, tuple(i.name for i in self.inputs)), (_l("In other languages"), tuple(more)))

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


def _language(code: str) -> str:
    return Locale.parse(code).get_display_name(code) or code
