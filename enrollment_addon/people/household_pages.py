"""The page of a household, and the change of its head."""

from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core.web import forms
from ..core.web.access import authorize, may, needs
from ..core.web.api import key_of
from ..core.web.views import form_status, notice
from . import queries, service
from .labels import RELATIONSHIPS
from .models import Client, Household, Relationship

CLIENTS = "EnrollmentClient"
"""The menu whose readers learn who is in a household."""


class MemberForm(forms.Form):
    """Put a client into a household."""

    client_id = forms.Reference(_l("Client"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)])
    relationship = forms.Choice(_l("Relationship to the head"), options=RELATIONSHIPS[1:])


class HouseholdPages:
    """Pages of one household; mixed into the generated view."""

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        household = self.find(pk)  # type: ignore[attr-defined]
        members: list[Client] = []
        if may("read", CLIENTS):
            members = queries.household_members(self.session, household.id)  # type: ignore[attr-defined]
        labels: dict[Any, Any] = dict(RELATIONSHIPS)
        editable = may("edit", "EnrollmentHousehold")
        buttons = list(self.buttons(household))  # type: ignore[attr-defined]
        if editable:
            buttons.insert(0, {"label": _("Add a member"), "url": url_for("HouseholdView.join", pk=pk)})
        return self.render_template(  # type: ignore[attr-defined]
            "enrollment_addon/household.html", title=household.name, subtitle=_("Household"),
            crumbs=self.crumbs(), buttons=buttons,  # type: ignore[attr-defined]
            head_url=url_for("HouseholdView.head", pk=pk) if editable and len(members) > 1 else None,
            members=[
                {
                    "name": m.full_name, "url": url_for("ClientView.show", pk=m.id), "meta": m.email or "",
                    "relationship_label": labels.get(m.relationship_to_head, ""),
                    "is_head": m.id == household.head_id,
                    "leave_url": url_for("HouseholdView.leave", pk=pk, client_id=m.id)
                    if editable and m.id != household.head_id else None,
                }
                for m in members
            ],
        )

    @expose("/join/<pk>", methods=["GET", "POST"])
    @needs("edit")
    def join(self, pk: str) -> Any:
        household, form = self.find(pk), MemberForm()  # type: ignore[attr-defined]
        title = _("Add a member to %(name)s", name=household.name)
        if request.method == "POST" and form.validate():
            ok, _result = self.attempt(  # type: ignore[attr-defined]
                form,
                lambda: service.add_member(
                    self.session, household_id=int(pk), client_id=form.client_id.data,  # type: ignore[attr-defined]
                    relationship=form.relationship.data, actor=self.actor,  # type: ignore[attr-defined]
                ),
            )
            if ok:
                notice(_("The household has a new member."))
                return redirect(url_for("HouseholdView.show", pk=pk))
        page = self.form_page(  # type: ignore[attr-defined]
            form, title=title, subtitle="", crumbs=self.crumbs_to(household), submit_label=_("Add a member"),  # type: ignore[attr-defined]
            cancel_url=url_for("HouseholdView.show", pk=pk), fields=["client_id", "relationship"],
        )
        return page, form_status()

    @expose("/leave/<pk>/<client_id>", methods=["POST"])
    @needs("edit")
    def leave(self, pk: str, client_id: str) -> Any:
        household_id, member_id = self.find(pk).id, key_of(client_id)  # type: ignore[attr-defined]
        ok, error = self.attempt(  # type: ignore[attr-defined]
            forms.Form(),
            lambda: service.remove_member(
                self.session, household_id=household_id, client_id=member_id, actor=self.actor  # type: ignore[attr-defined]
            ),
        )
        notice(_("The client left the household.") if ok else error.text(), category="success" if ok else "warning")
        return redirect(url_for("HouseholdView.show", pk=pk))

    @expose("/head/<pk>", methods=["GET", "POST"])
    @needs("edit")
    def head(self, pk: str) -> Any:
        """Choose another head and say what everybody is to them."""
        authorize("read", CLIENTS)
        household = self.find(pk)  # type: ignore[attr-defined]
        members = queries.household_members(self.session, household.id)  # type: ignore[attr-defined]
        form = _head_form(members, household)()
        if request.method == "POST" and form.validate():
            head_id = int(form.head_id.data)
            related = {m.id: form[f"relationship_{m.id}"].data for m in members if m.id != head_id}
            ok, _result = self.attempt(  # type: ignore[attr-defined]
                form,
                lambda: service.change_head(
                    self.session, household_id=int(pk), head_id=head_id,  # type: ignore[attr-defined]
                    relationships={k: v for k, v in related.items() if v}, actor=self.actor,  # type: ignore[attr-defined]
                ),
            )
            if ok:
                notice(_("The household has a new head."))
                return redirect(url_for("HouseholdView.show", pk=pk))
        page = self.render_template(  # type: ignore[attr-defined]
            "enrollment_addon/head.html", title=_("Change head"), form=form, crumbs=self.crumbs_to(household),  # type: ignore[attr-defined]
            members=[{"id": m.id, "name": m.full_name} for m in members], action_url=request.path,
            cancel_url=url_for("HouseholdView.show", pk=pk), submit_label=_("Change head"),
        )
        return page, form_status()


def _head_form(members: list[Client], household: Household) -> type[forms.Form]:
    """A form with the members as possible heads and a relationship for each of them."""
    fields: dict[str, Any] = {
        "head_id": forms.Choice(
            _("New head"), options=[(str(m.id), m.full_name) for m in members if m.id != household.head_id]
        )
    }
    for member in members:
        fields[f"relationship_{member.id}"] = forms.Choice(
            member.full_name, options=[r for r in RELATIONSHIPS if r[0] != Relationship.head], optional=True
        )
    return type("HeadForm", (forms.Form,), fields)
