"""The verbs that write people and places."""

from ..hooks import (
    register_client_holder,
    register_club_amounts,
    register_erasure,
    register_export_section,
    register_merge_step,
    register_timeline_source,
)
from .clients import check_client_fields, create_client, delete_client, update_client
from .clubs import create_club, delete_club, update_club
from .erase import erase_client
from .export import export_client_data, write_archive
from .households import (
    add_member,
    change_head,
    create_household,
    delete_household,
    remove_member,
    update_household,
)
from .merge import MergePlan, merge_clients, merge_plan
from .participants import create_participant, delete_participant, update_participant
from .team import create_team_member, delete_team_member, update_team_member

__all__ = [
    "MergePlan",
    "add_member",
    "change_head",
    "check_client_fields",
    "create_client",
    "create_club",
    "create_household",
    "create_participant",
    "create_team_member",
    "delete_client",
    "delete_club",
    "delete_household",
    "delete_participant",
    "delete_team_member",
    "erase_client",
    "export_client_data",
    "merge_clients",
    "merge_plan",
    "register_client_holder",
    "register_club_amounts",
    "register_erasure",
    "register_export_section",
    "register_merge_step",
    "register_timeline_source",
    "remove_member",
    "update_client",
    "update_club",
    "update_household",
    "update_participant",
    "update_team_member",
    "write_archive",
]
