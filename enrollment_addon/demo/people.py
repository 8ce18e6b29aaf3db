"""The users of the demo: an owner, a manager, ten team members and a client, with the roles they show."""

from flask import current_app

from ..core import roles

PASSWORD = "demo"  # noqa: S105 - printed at the start of the demo, which serves on the loopback address only
USERS = (
    ("owner", "Ana", "Ruiz", roles.OWNER),
    ("manager", "Jonas", "Weber", roles.MANAGER),
    ("team1", "Chloé", "Martin", roles.TEAM),
    ("team2", "Liam", "O’Brien", roles.TEAM),
    ("team3", "Noor", "Haddad", roles.TEAM),
    ("team4", "Yuki", "Tanaka", roles.TEAM),
    ("team5", "Omar", "Said", roles.TEAM),
    ("team6", "Greta", "Lind", roles.TEAM),
    ("team7", "Mateo", "García", roles.TEAM),
    ("team8", "Ewa", "Nowak", roles.TEAM),
    ("team9", "Paul", "Schmidt", roles.TEAM),
    ("team10", "Leïla", "Benali", roles.TEAM),
    ("client", "Maya", "Fischer", roles.CLIENT),
)
SHOWN = (("owner", "sees and may do everything"), ("manager", "runs the place"),
         ("team1", "sees their own clients only"), ("client", "a client of the studio"))


OWN_PROFILE = (
    ("can_userinfo", "UserDBModelView"), ("userinfoedit", "UserDBModelView"), ("resetmypassword", "UserDBModelView"),
    ("can_this_form_get", "UserInfoEditView"), ("can_this_form_post", "UserInfoEditView"),
    ("can_this_form_get", "ResetMyPasswordView"), ("can_this_form_post", "ResetMyPasswordView"),
)
"""The framework's permissions for the page that its menu offers to everybody; a host gives them as it sees fit."""


def create_users() -> dict[str, int]:
    """Create the demo's users through the framework; their keys by user name."""
    security = current_app.appbuilder.sm  # type: ignore[attr-defined]
    profile = security.find_role("Own profile") or security.add_role("Own profile")
    for permission, menu in OWN_PROFILE:
        security.add_permission_role(profile, security.find_permission_view_menu(permission, menu))
    keys = {}
    for name, first, last, role in USERS:
        user = security.find_user(username=name) or security.add_user(
            name, first, last, f"{name}@example.org", [security.find_role(role), profile], PASSWORD
        )
        keys[name] = user.id
    return keys


def log_ins() -> str:
    """What to type at the log-in page."""
    lines = [f"  {name:<8} password {PASSWORD:<8} {what}" for name, what in SHOWN]
    return "\n".join(["Log in as", *lines])
