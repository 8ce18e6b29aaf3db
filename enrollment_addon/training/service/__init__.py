"""The verbs on training reports and on the skills they rate."""

from .reports import (
    delete_training_report,
    update_training_report,
    write_training_report,
)
from .skills import create_skill, delete_skill, update_skill

__all__ = [
    "create_skill", "delete_skill", "delete_training_report", "update_skill", "update_training_report",
    "write_training_report",
]
