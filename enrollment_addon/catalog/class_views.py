"""Lists and forms of what classes are sorted by."""

from typing import Any

from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement

from ..core.web.filters import Filter
from ..core.web.forms import REQUIRED, Input, InputRequired, Whole
from ..core.web.record_verbs import RecordVerbs
from ..core.web.views import Column
from . import queries, service
from .languages import TranslatedView
from .models import ActivityLevel, ClassCategory, Semester


def _rank(label: Any, **options: Any) -> Whole:
    """The number under the name that the record has for it; the column is called otherwise."""
    options["validators"] = [InputRequired(REQUIRED)]
    return Whole(label, low=1, high=1000, **options)


class ClassCategoryView(TranslatedView):
    """The services that class groups belong to."""

    route_base = "/enrollment/class-categories"
    datamodel = SQLAInterface(ClassCategory)
    class_permission_name = "EnrollmentClassCategory"
    verbs = RecordVerbs(service.create_class_category, service.update_class_category, service.delete_class_category)
    list_title = _l("Class categories")
    singular = _l("Class category")
    add_label = _l("New class category")
    search_placeholder = _l("Name in any language")
    empty_text = _l("A class category is a service that class groups belong to, such as “Yoga” or “Swimming course”.")
    columns = (
        Column("label", _l("Name"), order=(ClassCategory.name,), kind="link", phone="title"),
        Column("active", _l("Active"), order=(ClassCategory.active,)),
    )
    filters = (Filter("active", _l("Active"), "flag", ClassCategory.active),)
    default_order = (ClassCategory.name,)
    inputs = (Input("name", _l("Name")), Input("active", _l("Active"), _l("Only active ones are offered.")))

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text, ClassCategory)

    def prefilled(self) -> dict[str, Any]:
        return {"active": True}


class ActivityLevelView(TranslatedView):
    """How demanding classes are."""

    route_base = "/enrollment/activity-levels"
    datamodel = SQLAInterface(ActivityLevel)
    class_permission_name = "EnrollmentActivityLevel"
    verbs = RecordVerbs(service.create_activity_level, service.update_activity_level, service.delete_activity_level)
    list_title = _l("Activity levels")
    singular = _l("Activity level")
    add_label = _l("New activity level")
    search_placeholder = _l("Name in any language")
    empty_text = _l("Activity levels put classes in order, from beginners to advanced.")
    columns = (
        Column("label", _l("Name"), order=(ActivityLevel.name,), kind="link", phone="title"),
        Column("rank", _l("Rank"), order=(ActivityLevel.rank,), kind="number", phone="end"),
        Column("active", _l("Active"), order=(ActivityLevel.active,), phone="hide"),
    )
    filters = (Filter("active", _l("Active"), "flag", ActivityLevel.active),)
    default_order = (ActivityLevel.rank, ActivityLevel.name)
    inputs = (
        Input("name", _l("Name")),
        Input("rank", _l("Rank"), _l("A higher number is a higher level."), make=_rank),
        Input("active", _l("Active"), _l("Only active ones are offered.")),
    )

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text, ActivityLevel)

    def prefilled(self) -> dict[str, Any]:
        return {"rank": 1, "active": True}


class SemesterView(TranslatedView):
    """The parts of the year that courses run in."""

    route_base = "/enrollment/semesters"
    datamodel = SQLAInterface(Semester)
    class_permission_name = "EnrollmentSemester"
    verbs = RecordVerbs(service.create_semester, service.update_semester, service.delete_semester)
    list_title = _l("Semesters")
    singular = _l("Semester")
    add_label = _l("New semester")
    search_placeholder = _l("Name in any language")
    empty_text = _l("A semester gives class groups their first and last day.")
    columns = (
        Column("label", _l("Name"), order=(Semester.name,), kind="link", phone="title"),
        Column("first_date", _l("First day"), order=(Semester.first_date,), kind="date"),
        Column("last_date", _l("Last day"), order=(Semester.last_date,), kind="date"),
    )
    default_order = (Semester.first_date,)
    default_descending = True
    inputs = (
        Input("name", _l("Name")), Input("first_date", _l("First day")), Input("last_date", _l("Last day")),
    )

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text, Semester)
