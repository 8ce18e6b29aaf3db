"""REST of the catalog."""

from typing import Any

from ..core.web.records import writable
from . import service
from .models import EventType
from .schemas import EventTypeInput, EventTypeSchema
from .views import EventTypeView


class EventTypeApi(writable(EventTypeSchema, EventTypeInput)):  # type: ignore[misc]
    resource = "event_types"
    model = EventType
    class_permission_name = "EnrollmentEventType"
    openapi_spec_tag = "Event types"
    filters = EventTypeView.filters
    orders = {"name": (EventType.name,)}

    def create(self, **data: Any) -> EventType:
        return service.create_event_type(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> EventType:
        return service.update_event_type(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_event_type(self.session, id=key, actor=self.actor)
