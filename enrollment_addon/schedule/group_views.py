"""Pages of class groups."""

from typing import Any

from flask import url_for
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import format_time, ngettext, pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement

from ..catalog.languages import IN_LANGUAGES, TranslatedView
from ..catalog.queries import name_clause
from ..core import money
from ..core.web import render
from ..core.web.filters import Filter
from ..core.web.forms import Amount, Confirmation, Form, Input, form_for
from ..core.web.views import Column
from . import queries, service
from .forms import SLOTS, slot_members, slots_of, when
from .labels import WEEKDAYS
from .models import ClassGroup


def times_of(group: ClassGroup) -> list[str]:
    """When a class group takes place, in words."""
    names = dict(WEEKDAYS)
    return [
        f"{names[str(slot.weekday)]} {format_time(slot.starts_at_time, 'short', rebase=False)}"
        for slot in group.slots
    ]


def _price(group: ClassGroup) -> str:
    return render.amount(group.dropin_price, group.club.currency)


class ClassGroupView(TranslatedView):
    """Weekly classes and courses; their sessions are made from them."""

    route_base = "/enrollment/class-groups"
    datamodel = SQLAInterface(ClassGroup)
    class_permission_name = "EnrollmentClassGroup"
    holders = service.class_group_holders
    list_title = _l("Class groups")
    singular = _l("Class group")
    add_label = _l("New class group")
    search_placeholder = _l("Name in any language")
    empty_text = _l("A class group is a weekly class or course. Its sessions appear in the schedule by themselves.")
    load = queries.GROUP_PARTS
    columns = (
        Column("label", _l("Name"), order=(ClassGroup.name,), kind="link", phone="title"),
        Column("times", _l("Times"), value=lambda g: ", ".join(times_of(g)),
               show=lambda g: render.listed(times_of(g))),
        Column("club", _l("Club"), value=lambda g: g.club.name),
        Column("team_member", _l("Instructor"), value=lambda g: g.team_member.name if g.team_member else ""),
        Column("category", _l("Class category"), value=lambda g: str(g.category or ""), phone="hide"),
        Column("level", _l("Activity level"), value=lambda g: str(g.level or ""), phone="hide"),
        Column("capacity", _l("Places"), order=(ClassGroup.capacity,), kind="number", phone="end"),
        Column("active", _l("Active"), order=(ClassGroup.active,), phone="hide"),
    )
    filters = (
        Filter("club_id", _l("Club"), "reference", ClassGroup.club_id, source="clubs"),
        Filter("team_member_id", _l("Instructor"), "reference", ClassGroup.team_member_id, source="team_members"),
        Filter("event_type_id", _l("Event type"), "reference", ClassGroup.event_type_id, source="event_types"),
        Filter("category_id", _l("Class category"), "reference", ClassGroup.category_id, source="class_categories"),
        Filter("level_id", _l("Activity level"), "reference", ClassGroup.level_id, source="activity_levels"),
        Filter("semester_id", _l("Semester"), "reference", ClassGroup.semester_id, source="semesters"),
        Filter("name", _l("Name"), "text", ClassGroup.name),
        Filter("active", _l("Active"), "flag", ClassGroup.active),
    )
    default_order = (ClassGroup.name,)
    _common = (
        Input("room", _l("Room")),
        Input("team_member_id", _l("Instructor"), source="team_members"),
        Input("event_type_id", _l("Event type"), _l("What credits pay for it."), source="event_types"),
        Input("category_id", _l("Class category"), source="class_categories"),
        Input("level_id", _l("Activity level"), source="activity_levels"),
        Input("semester_id", _l("Semester"), _l("Gives the first and the last day."), source="semesters"),
        Input("first_date", _l("First day"), _l("Empty: today, or the semester’s first day."), required=False),
        Input("last_date", _l("Last day")),
        Input("capacity", _l("Places"), low=1, high=10_000, required=True),
        Input("dropin_price", _l("Price of a single class"), _l("In the currency of the club."), make=Amount,
              attributes={"inputmode": "decimal"}),
        Input("colour", _l("Colour"), attributes={"type": "color"}),
        Input("active", _l("Active"), _l("Only active class groups get sessions.")),
        Input("confirm_overlap", _l("Save although it overlaps"), make=lambda label, **_options: Confirmation(label)),
    )
    inputs = (Input("name", _l("Name")), Input("club_id", _l("Club"), source="clubs"), *_common)
    edit_inputs = (Input("name", _l("Name")), *_common)

    def _init_forms(self) -> None:
        """The generated forms, with the weekly times and the names in other languages."""
        new = form_for(ClassGroup, self.inputs, name="ClassGroupForm")
        changed = form_for(ClassGroup, self.edit_inputs, name="ClassGroupForm")
        names = self.language_fields()
        self.add_form = type("ClassGroupAdd", (new,), {**slot_members(), **names})
        self.edit_form = type("ClassGroupEdit", (changed,), {**slot_members(), **names})
        times = [tuple(f"{name}_{n}" for name in ("weekday", "time", "minutes")) for n in range(1, SLOTS + 1)]
        self.groups = (
            (None, ("name", "club_id", "event_type_id", "team_member_id", "room", "capacity")),
            (_l("Time of the week"), (times[0],)),
            (_l("Further times"), times[1:]),
            (_l("Runs"), ("semester_id", "first_date", "last_date")),
            (_l("More"), ("category_id", "level_id", "dropin_price", "colour", "active", "confirm_overlap")),
            (IN_LANGUAGES, tuple(names)),
        )

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return name_clause(text, ClassGroup)

    def prefilled(self) -> dict[str, Any]:
        return {"capacity": 10, "active": True, "colour": "#2f6f9f", "minutes_1": 60}

    def fill(self, form: Form, item: ClassGroup) -> None:
        super().fill(form, item)
        for n, slot in enumerate(item.slots[:SLOTS], start=1):
            form._fields[f"weekday_{n}"].data = str(slot.weekday)
            form._fields[f"time_{n}"].data = slot.starts_at_time
            form._fields[f"minutes_{n}"].data = slot.duration_minutes
        price = item.dropin_price
        form.dropin_price.data = None if price is None else money.to_decimal(price, item.club.currency)

    def typed_in(self, form: Form) -> dict[str, Any]:
        typed = super().typed_in(form)
        typed = {k: v for k, v in typed.items() if not k.startswith(("weekday_", "time_", "minutes_"))}
        if typed["first_date"] is None:
            del typed["first_date"]
        return {**typed, "slots": slots_of(form)}

    def create(self, **typed: Any) -> ClassGroup:
        return service.create_class_group(self.session, actor=self.actor, **typed)

    def update(self, item: ClassGroup, **typed: Any) -> ClassGroup:
        kept = [
            {name: getattr(slot, name) for name in ("weekday", "starts_at_time", "duration_minutes")}
            for slot in item.slots[SLOTS:]
        ]
        typed["slots"] = [*typed["slots"], *kept]
        return service.update_class_group(self.session, id=item.id, actor=self.actor, **typed)

    def remove(self, item: ClassGroup) -> None:
        service.delete_class_group(self.session, id=item.id, actor=self.actor)

    def show_page(self, item: ClassGroup) -> dict[str, Any]:
        page = super().show_page(item)
        facts = (
            (_("Event type"), item.event_type.label), (_("Room"), item.room), (_("Semester"), item.semester),
            (_("First day"), render.date(item.first_date)), (_("Last day"), render.date(item.last_date)),
            (_("Price of a single class"), _price(item)),
        )
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in facts]
        coming = queries.upcoming_of_group(self.session, item.id)
        taken = queries.taken_of(self.session, [s.id for s in coming])
        page["sections"] = [{
            "title": _("Next sessions"), "empty": _("No session is planned."),
            "rows": [
                {
                    "title": when(s), "url": url_for("SessionView.show", pk=s.id),
                    "meta": pgettext("session", "Cancelled") if s.status == "cancelled" else str(s.team_member or ""),
                    "end": ngettext(
                        "%(booked)s of %(num)s place", "%(booked)s of %(num)s places", s.capacity,
                        booked=render.number(taken.get(s.id, queries.Taken()).booked),
                    ),
                }
                for s in coming
            ],
        }]
        return page

    def goes_along(self, item: ClassGroup) -> Any:
        number = queries.number_of_sessions(self.session, item.id)
        said = ngettext(
            "%(num)d session of it is deleted with it.", "%(num)d sessions of it are deleted with it.", number
        )
        return said if number else ""
