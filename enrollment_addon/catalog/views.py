"""Lists and forms of the catalog."""

from typing import Any

from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement

from ..core.web.filters import Filter
from ..core.web.forms import Input
from ..core.web.record_verbs import RecordVerbs
from ..core.web.views import Column
from . import queries, service
from .languages import TranslatedView
from .models import EventKind, EventType

KINDS = ((EventKind.klass, _l("Class")), (EventKind.appointment, _l("Appointment")))


class EventTypeView(TranslatedView):
    """What session credits are good for; the name can be given in every language of the host."""

    route_base = "/enrollment/event-types"
    datamodel = SQLAInterface(EventType)
    class_permission_name = "EnrollmentEventType"
    holders = service.event_type_holders
    verbs = RecordVerbs(service.create_event_type, service.update_event_type, service.delete_event_type)
    list_title = _l("Event types")
    singular = _l("Event type")
    add_label = _l("New event type")
    empty_text = _l("An event type is what a session credit is good for, such as “Yoga class” or “Personal training”.")
    columns = (
        Column("label", _l("Name"), order=(EventType.name,), kind="link", phone="title"),
        Column("kind", _l("Kind"), value=lambda t: str(dict(KINDS)[t.kind]), order=(EventType.kind,)),
        Column("duration_minutes", _l("Minutes"), order=(EventType.duration_minutes,), kind="number", phone="end"),
        Column("active", _l("Active"), order=(EventType.active,), phone="hide"),
    )
    filters = (
        Filter("name", _l("Name"), "text", EventType.name),
        Filter("kind", _l("Kind"), "choice", EventType.kind, KINDS),
        Filter("active", _l("Active"), "flag", EventType.active),
    )
    default_order = (EventType.name,)
    search_placeholder = _l("Name in any language")
    inputs = (
        Input("name", _l("Name")),
        Input("kind", _l("Kind"), choices=KINDS, required=True),
        Input("duration_minutes", _l("Minutes"), _l("How long a session usually takes."), low=1, high=1440),
        Input("colour", _l("Colour"), attributes={"type": "color"}),
        Input("active", _l("Active"), _l("Only active event types are offered.")),
    )

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text)

    def prefilled(self) -> dict[str, Any]:
        return {"kind": EventKind.klass, "duration_minutes": 60, "active": True, "colour": "#2f6f9f"}
