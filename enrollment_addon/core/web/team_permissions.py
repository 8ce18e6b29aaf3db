"""The Team permissions page: which role may use which verb, in plain words."""

from collections.abc import Iterable
from typing import Any

from flask import current_app, flash, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.const import PERMISSION_PREFIX
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from .. import roles
from ..audit import record_event
from ..db import unit_of_work
from ..extension import Verb
from . import access
from .access import verb
from .views import PageView

MANAGE = "manage_team_permissions"
ROLE_LABELS = {roles.OWNER: _l("Owner"), roles.MANAGER: _l("Manager"), roles.TEAM: _l("Team member")}


class TeamPermissionsView(PageView):
    """A matrix of verbs and roles; what is ticked holds from the next request of the people concerned."""

    route_base = "/enrollment/team-permissions"
    class_permission_name = access.MENU
    default_view = "matrix"

    @property
    def security(self) -> Any:
        return current_app.appbuilder.sm  # type: ignore[attr-defined]

    def shown_roles(self) -> list[Any]:
        """Our roles, and every other that holds one of the verbs; not the administrators', who hold all."""
        everyone = sorted(self.security.get_all_roles(), key=lambda r: (_place(r.name), r.name))
        admin = self.security.auth_role_admin
        return [
            r for r in everyone
            if r.name != admin and (r.name in (roles.OWNER, roles.MANAGER, roles.TEAM) or self._held(r))
        ]

    def _held(self, role: Any) -> set[str]:
        return {
            pv.permission.name.removeprefix(PERMISSION_PREFIX)
            for pv in role.permissions
            if pv.view_menu.name == access.MENU
        }

    @expose("/")
    @verb(MANAGE)
    def matrix(self) -> Any:
        shown = self.shown_roles()
        held = {role.id: self._held(role) for role in shown}
        areas: dict[str, Any] = {}
        for entry in current_app.extensions["enrollment"].verbs:
            area = areas.setdefault(str(entry.area), {"title": entry.area, "verbs": []})
            area["verbs"].append(
                {
                    "name": entry.name, "label": entry.label, "help": entry.help,
                    "cells": [
                        {"role_id": r.id, "role": _label(r), "ticked": entry.name in held[r.id],
                         "locked": _locked(entry, r)}
                        for r in shown
                    ],
                }
            )
        return self.render_template(
            "enrollment_addon/permissions.html", title=_("Team permissions"),
            areas=list(areas.values()), action_url=url_for("TeamPermissionsView.save"),
            roles=[
                {"id": r.id, "name": r.name, "label": _label(r), "held": " ".join(sorted(held[r.id]))} for r in shown
            ],
        )

    @expose("/save", methods=["POST"])
    @verb(MANAGE)
    def save(self) -> Any:
        changed = 0
        with unit_of_work(self.session):
            for role in self.shown_roles():
                changed += self._apply(role, current_app.extensions["enrollment"].verbs)
        flash(
            ngettext("%(num)s permission was changed.", "%(num)s permissions were changed.", changed)
            if changed else _("Nothing was changed."),
            "success",
        )
        return redirect(url_for("TeamPermissionsView.matrix"))

    def _apply(self, role: Any, verbs: Iterable[Verb]) -> int:
        """Carry out what was ticked and unticked for a role; a cell left as the page showed it is left alone.

        What somebody else changed since the page was made stays, and so does a role it did not show.
        """
        ticked, shown = set(request.form.getlist(f"role-{role.id}")), set(request.form.getlist("verb"))
        read = request.form.get(f"held-{role.id}")
        if read is None:
            return 0
        touched, held, changed = ticked ^ set(read.split()), self._held(role), 0
        for entry in verbs:
            wanted = entry.name in ticked
            if entry.name not in shown & touched or _locked(entry, role) or wanted == (entry.name in held):
                continue
            name = PERMISSION_PREFIX + entry.name
            pair = self.security.find_permission_view_menu(name, access.MENU)
            if wanted:
                role.permissions.append(pair or self.security.add_permission_view_menu(name, access.MENU))
            else:
                role.permissions.remove(pair)
            changed += 1
            record_event(
                self.session, actor=self.actor, verb="change_permission", record="role", record_id=role.id,
                permission=entry.name, granted=wanted,
            )
        return changed


def _label(role: Any) -> str:
    return str(ROLE_LABELS.get(role.name, role.name))


def _place(name: str) -> int:
    return roles.ROLES.index(name) if name in roles.ROLES else len(roles.ROLES)


def _locked(entry: Verb, role: Any) -> bool:
    """The owner's key to this page can't be taken away on it, so that nobody locks everybody out."""
    return entry.name == MANAGE and bool(role.name == roles.OWNER)
