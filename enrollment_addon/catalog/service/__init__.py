"""The verbs that write the catalog."""

from .event_types import create_event_type, delete_event_type, register_event_type_holder, update_event_type
from .packages import create_package, delete_package, register_package_holder, update_package

__all__ = [
    "create_event_type",
    "create_package",
    "delete_event_type",
    "delete_package",
    "register_event_type_holder",
    "register_package_holder",
    "update_event_type",
    "update_package",
]
