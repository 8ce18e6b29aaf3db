"""REST of the catalog."""

from typing import Any

from flask import current_app

from ..core.web.records import writable
from .languages import TranslatedApi
from .models import EventType, Package
from .package_views import PackageView
from .schemas import EventTypeInput, EventTypeSchema, PackageInput, PackageSchema
from .views import EventTypeView


class EventTypeApi(TranslatedApi, writable(EventTypeSchema, EventTypeInput)):  # type: ignore[misc]
    resource = "event_types"
    model = EventType
    class_permission_name = "EnrollmentEventType"
    verbs = EventTypeView.verbs
    openapi_spec_tag = "Event types"
    filters = EventTypeView.filters
    orders = {"name": (EventType.name,)}


class PackageApi(TranslatedApi, writable(PackageSchema, PackageInput)):  # type: ignore[misc]
    resource = "packages"
    model = Package
    class_permission_name = "EnrollmentPackage"
    verbs = PackageView.verbs
    openapi_spec_tag = "Packages"
    filters = PackageView.filters
    orders = {"name": (Package.name,), "price": (Package.price,), "sessions": (Package.sessions,)}

    def create(self, **data: Any) -> Any:
        data = {"currency": current_app.extensions["enrollment"].settings.currency, **data}
        return super().create(**data)
