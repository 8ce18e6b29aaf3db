"""REST of the catalog."""

from typing import Any

from flask import current_app

from ..core.web.records import writable
from . import service
from .languages import TranslatedApi
from .models import EventType, Package
from .package_views import PackageView
from .schemas import EventTypeInput, EventTypeSchema, PackageInput, PackageSchema
from .views import EventTypeView


class EventTypeApi(TranslatedApi, writable(EventTypeSchema, EventTypeInput)):  # type: ignore[misc]
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


class PackageApi(TranslatedApi, writable(PackageSchema, PackageInput)):  # type: ignore[misc]
    resource = "packages"
    model = Package
    class_permission_name = "EnrollmentPackage"
    openapi_spec_tag = "Packages"
    filters = PackageView.filters
    orders = {"name": (Package.name,), "price": (Package.price,), "sessions": (Package.sessions,)}

    def create(self, **data: Any) -> Package:
        data = {"currency": current_app.extensions["enrollment"].settings.currency, **data}
        return service.create_package(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Package:
        return service.update_package(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_package(self.session, id=key, actor=self.actor)
