"""The roles the add-on installs, once, and what it has installed so far.

A role is never overwritten after an administrator has edited it: each permission is given to a role one single
time, which a row here remembers; later runs give only what is new in that version.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, String, select, tuple_, union
from sqlalchemy.orm import Mapped, Session, mapped_column

from .db import Base, User

OWNER = "Enrollment Owner"
MANAGER = "Enrollment Manager"
TEAM = "Enrollment Team Member"
CLIENT = "Enrollment Client"
ROLES = (OWNER, MANAGER, TEAM, CLIENT)


class InstalledPermission(Base):
    """A permission that was given to one of our roles by `init`, whether or not it is still held."""

    __tablename__ = "enrollment_installed_permission"

    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    permission: Mapped[str] = mapped_column(String(100), primary_key=True)
    menu: Mapped[str] = mapped_column(String(120), primary_key=True)


def install_roles(session: Session, security: Any, wanted: Mapping[str, Iterable[tuple[str, str]]]) -> dict[str, int]:
    """Create the roles and give each what it was not given before. How many permissions were added, by role.

    `security` is the framework's security manager; `wanted` maps a role to (permission, menu) pairs.
    """
    added: dict[str, int] = {}
    known = {
        (row.role, row.permission, row.menu)
        for row in session.execute(
            select(InstalledPermission.role, InstalledPermission.permission, InstalledPermission.menu)
        )
    }
    for name, pairs in wanted.items():
        role = security.find_role(name) or security.add_role(name)
        added[name] = 0
        for permission, menu in sorted(set(pairs)):
            if (name, permission, menu) in known:
                continue
            held = security.find_permission_view_menu(permission, menu) or security.add_permission_view_menu(
                permission, menu
            )
            security.add_permission_role(role, held)
            session.add(InstalledPermission(role=name, permission=permission, menu=menu))
            added[name] += 1
    session.flush()
    return added


def staff_accounts() -> Select[tuple[int]]:
    """The keys of the users who hold, by a role or a group, a permission that `init` gives to staff.

    What the clients' own role is given as well makes nobody staff.
    """
    host, given = User.metadata.tables, InstalledPermission.__table__.c
    in_roles, in_groups, of_groups, held = (
        host[name].c
        for name in ("ab_user_role", "ab_user_group", "ab_group_role", "ab_permission_view_role")
    )
    pairs, permissions, menus = (
        host[name].c for name in ("ab_permission_view", "ab_permission", "ab_view_menu")
    )
    roles = union(
        select(in_roles.user_id, in_roles.role_id),
        select(in_groups.user_id, of_groups.role_id).where(of_groups.group_id == in_groups.group_id),
    ).subquery()
    staff, clients = (
        select(given.permission, given.menu).where(role)
        for role in (given.role != CLIENT, given.role == CLIENT)
    )
    pair = tuple_(permissions.name, menus.name)
    return (
        select(roles.c.user_id)
        .where(
            held.role_id == roles.c.role_id, pairs.id == held.permission_view_id,
            permissions.id == pairs.permission_id, menus.id == pairs.view_menu_id,
            pair.in_(staff), pair.not_in(clients), roles.c.user_id.is_not(None),
        )
        .distinct()
    )
