"""The verbs that write the catalog."""

from .class_records import (
    create_activity_level,
    create_class_category,
    create_semester,
    delete_activity_level,
    delete_class_category,
    delete_semester,
    register_activity_level_holder,
    register_class_category_holder,
    register_semester_holder,
    update_activity_level,
    update_class_category,
    update_semester,
)
from .event_types import (
    create_event_type,
    delete_event_type,
    event_type_holders,
    register_event_type_holder,
    update_event_type,
)
from .packages import (
    clubs_of_packages,
    create_package,
    delete_package,
    event_types_in_packages,
    package_holders,
    register_package_holder,
    update_package,
)

__all__ = [
    "clubs_of_packages",
    "create_activity_level",
    "create_class_category",
    "create_event_type",
    "create_package",
    "create_semester",
    "delete_activity_level",
    "delete_class_category",
    "delete_event_type",
    "delete_package",
    "delete_semester",
    "event_type_holders",
    "event_types_in_packages",
    "package_holders",
    "register_activity_level_holder",
    "register_class_category_holder",
    "register_event_type_holder",
    "register_package_holder",
    "register_semester_holder",
    "update_activity_level",
    "update_class_category",
    "update_event_type",
    "update_package",
    "update_semester",
]
