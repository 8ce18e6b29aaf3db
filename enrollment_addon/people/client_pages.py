"""The client card, and the verbs on one client: merge, erase, export."""

import datetime as dt
import io
from collections.abc import Mapping
from typing import Any

from babel import Locale
from flask import redirect, request, send_file, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core import reasons
from ..core.db import unit_of_work
from ..core.errors import AddonError
from ..core.web import forms, render
from ..core.web.access import can, may, needs, verb
from ..core.web.api import key_of
from ..core.web.views import form_key, form_status, notice, posted_key
from . import queries, service
from .hooks import TimelineItem
from .labels import KINDS, RELATIONSHIPS
from .merge_text import differences_of, facts_of
from .models import Client, ParticipantKind, Relationship
from .parts import client_parts, told_records

TIMELINE = 20
DEFAULT_TEXTS = {
    "create_client": _l("Client added"),
    "update_client": _l("Client’s details changed"),
    "archive_client": _l("Client archived"),
    "unarchive_client": _l("Client brought back from the archive"),
    "create_participant": _l("Participant added"),
    "update_participant": _l("Participant’s details changed"),
    "delete_participant": _l("Participant removed"),
    "create_household": _l("Household created"),
    "update_household": _l("Household changed"),
    "add_member": _l("Joined a household"),
    "remove_member": _l("Left a household"),
    "change_head": _l("Head of household changed"),
    "delete_household": _l("Household dissolved"),
    "merge_clients": _l("Merged with another record of the same person"),
    "erase_client_data": _l("Personal data erased"),
    "export_client_data": _l("Personal data exported"),
}


class EraseForm(forms.ReasonForm):
    typed_name = forms.StringField(
        _l("Type the client’s full name to confirm"), validators=[forms.InputRequired(forms.REQUIRED)],
        render_kw={"autocomplete": "off"},
    )


class MergeChoiceForm(forms.Form):
    """Which other record is of the same person."""

    other_id = forms.Reference(
        _l("The other record of the same person"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)],
        description=_l("You will see what happens before anything is changed."),
    )


class ClientPages:
    """Pages of one client; mixed into the generated view."""

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        """The client card: everything about one client that the viewer may see."""
        shown = queries.client_card(self.session, key_of(pk))  # type: ignore[attr-defined]
        return self.render_template(  # type: ignore[attr-defined]
            "enrollment_addon/client_card.html", title=shown.client.full_name, card=self.card(shown)
        )

    def card(self, shown: queries.ClientCard) -> dict[str, Any]:
        client = shown.client
        render.use_timezone(client.club.timezone)
        story = queries.story(self.session, client.id, TIMELINE, told_records())  # type: ignore[attr-defined]
        known = {item.actor_id for item in story} | {client.portal_user_id}
        names = queries.user_names(self.session, known - {None})  # type: ignore[attr-defined]
        card: dict[str, Any] = {
            "client": client,
            "crumbs": [*self.crumbs(), {"label": client.club.name, "url": None}],  # type: ignore[attr-defined]
            "sub": _sub(client, shown.since), "details": _details(client, names), "stats": [],
            "buttons": [b for b in self.buttons(client) if not b.get("danger")],  # type: ignore[attr-defined]
            "balances": [], "shared_credits": [], "explain_url": None, "add_credits_url": None, "lots_url": None,
            "empty_credits": "",
            "participants": [_participant(p) for p in shown.participants]
            if may("read", "EnrollmentParticipant") else None,
            "add_participant_url": url_for("ParticipantView.add", client_id=client.id)
            if may("add", "EnrollmentParticipant") and client.erased_at is None else None,
            "household": _household(client, shown.members),
            "timeline": self.told(story, names),
            "more": self.more(client), "sections": [], "side_sections": [],
        }
        for part in client_parts():
            for name, value in (part.card(client) if part.card else {}).items():
                card[name] = [*card[name], *value] if isinstance(value, list) else value
        return card

    def told(self, items: list[TimelineItem], names: Mapping[int | None, str]) -> list[dict[str, Any]]:
        for part in client_parts():
            if part.prepare_story:
                part.prepare_story(items)
        told = []
        for item in items:
            text, url = next(
                filter(None, (part.tell(item) for part in client_parts() if part.tell)),
                (DEFAULT_TEXTS.get(item.verb, item.verb.replace("_", " ").capitalize()), None),
            )
            who = names.get(item.actor_id or 0)
            parts = [str(text), _("by %(name)s", name=who) if who else "", reasons.told(item.reason)]
            told.append({"text": render.joined(parts), "at": item.at, "undo_url": url})
        return told

    def more(self, client: Client) -> list[dict[str, Any]]:
        found = []
        if can("export_client_data"):
            url = url_for("ClientView.export_data", pk=client.id)
            found.append({"label": _("Export this client’s data"), "url": url})
        if can("merge_clients") and client.erased_at is None and client.merged_into_id is None:
            found.append({"label": _("Merge with another record"), "url": url_for("ClientView.merge", pk=client.id)})
        if can("erase_client_data") and client.erased_at is None:
            url = url_for("ClientView.erase", pk=client.id)
            found.append({"label": _("Erase personal data"), "url": url, "danger": True})
        if may("delete", "EnrollmentClient"):
            url = url_for("ClientView.delete", pk=client.id)
            found.append({"label": _("Delete client"), "url": url, "danger": True})
        return found

    # ---- verbs -----------------------------------------------------------------------------------------

    @expose("/data/<pk>", methods=["GET", "POST"])
    @verb("export_client_data")
    def export_data(self, pk: str) -> Any:
        """Everything that is kept about a client, as a ZIP of JSON and CSV; posted, because it goes on record."""
        client, form = self.find(pk), forms.Form()  # type: ignore[attr-defined]
        if request.method == "POST" and form.validate():
            return self._archive(client.id)
        return self.ask_first(  # type: ignore[attr-defined]
            form, title=_("Export the data of %(name)s?", name=client.full_name),
            sentence=_("You get a ZIP file with everything that is kept about this client. The timeline will say so."),
            crumbs=self.crumbs_to(client),  # type: ignore[attr-defined]
            cancel_url=url_for("ClientView.show", pk=pk), submit_label=_("Download the data"), danger=False,
            idempotency_key=None,
        )

    def _archive(self, client_id: int) -> Any:
        with unit_of_work(self.session):  # type: ignore[attr-defined]
            sections = service.export_client_data(self.session, client_id=client_id, actor=self.actor)  # type: ignore[attr-defined]
        target = io.BytesIO()
        service.write_archive(target, sections)
        target.seek(0)
        name = f"client-{client_id}.zip"
        return send_file(target, as_attachment=True, download_name=name, mimetype="application/zip")

    @expose("/erase/<pk>", methods=["GET", "POST"])
    @verb("erase_client_data")
    def erase(self, pk: str) -> Any:
        """Ask for the name and a reason, then replace a client's personal data for good."""
        client, form = self.find(pk), EraseForm()  # type: ignore[attr-defined]
        name = client.full_name
        if request.method == "POST" and form.validate():
            ok, _nothing = self.attempt(form, lambda: self._erase(client.id, form))  # type: ignore[attr-defined]
            if ok:
                notice(_("The personal data was erased. Credits and money stay on record."))
                return redirect(url_for("ClientView.show", pk=pk))
            client = self.find(pk)  # type: ignore[attr-defined]
        return self.ask_first(  # type: ignore[attr-defined]
            form, title=_("Erase the personal data of %(name)s?", name=name),
            sentence=_("Name, contact, notes, participants’ names and the portal account are replaced for good. "
                       "The ledger and money stay. This cannot be undone."),
            crumbs=self.crumbs_to(client),  # type: ignore[attr-defined]
            cancel_url=url_for("ClientView.show", pk=pk), submit_label=_("Erase personal data"), idempotency_key=None,
        )

    def _erase(self, client_id: int, form: EraseForm) -> None:
        service.erase_client(
            self.session, client_id=client_id, reason=form.reason.data, typed_name=form.typed_name.data,  # type: ignore[attr-defined]
            actor=self.actor,  # type: ignore[attr-defined]
        )

    @expose("/merge/<pk>", methods=["GET", "POST"])
    @verb("merge_clients")
    def merge(self, pk: str) -> Any:
        """Choose the other record, see what happens, then make one client of the two."""
        source = self.find(pk)  # type: ignore[attr-defined]
        choice = MergeChoiceForm()
        other = request.values.get("other_id", "")
        chosen = request.method == "POST" and "reason" not in request.form
        if (chosen and not choice.validate()) or not other.isdecimal():
            page = self.form_page(  # type: ignore[attr-defined]
                choice, title=_("Merge %(name)s with another record", name=source.full_name), subtitle="",
                crumbs=self.crumbs_to(source), submit_label=_("See what happens"),  # type: ignore[attr-defined]
                cancel_url=url_for("ClientView.show", pk=pk), fields=["other_id"],
            )
            return page, form_status()
        target = self.find(other)  # type: ignore[attr-defined]
        form = forms.ReasonForm()
        if "reason" in request.form and form.validate():
            keep = {k.removeprefix("take_"): v for k, v in request.form.items() if k.startswith("take_")}
            ok, _plan = self.attempt(  # type: ignore[attr-defined]
                form,
                lambda: service.merge_clients(
                    self.session, source_id=int(pk), target_id=int(other), keep=keep,  # type: ignore[attr-defined]
                    reason=form.reason.data, actor=self.actor,  # type: ignore[attr-defined]
                    idempotency_key=posted_key(),
                ),
            )
            if ok:
                notice(_("The two records are now one."))
                return redirect(url_for("ClientView.show", pk=other))
        return self._merge_preview(source, target, form)

    def _merge_preview(self, source: Client, target: Client, form: forms.ReasonForm) -> Any:
        try:
            plan = service.merge_plan(self.session, source_id=source.id, target_id=target.id)  # type: ignore[attr-defined]
        except AddonError as error:
            notice(error.text(), category="warning")
            return redirect(url_for("ClientView.show", pk=source.id))
        if plan.obstacles and not form.errors:
            form.add_errors({}, plan.obstacles[0].text())
        page = self.render_template(  # type: ignore[attr-defined]
            "enrollment_addon/merge.html",
            title=_("Merge %(source)s into %(target)s", source=source.full_name, target=target.full_name),
            source=source, target=target, differences=differences_of(plan, request.form), facts=facts_of(plan),
            form=form, crumbs=self.crumbs_to(source), action_url=request.path, other_id=target.id,  # type: ignore[attr-defined]
            cancel_url=url_for("ClientView.show", pk=source.id),
            submit_label=_("Merge %(source)s into %(target)s", source=source.full_name, target=target.full_name),
            idempotency_key=form_key(),
        )
        return page, 422 if form.errors or form.form_errors else 200


def _sub(client: Client, since: dt.datetime | None) -> list[str]:
    found = [client.email, client.phone]
    if client.team_member and since:
        day = render.date(since.astimezone(render.zone()).date())
        found.append(_("with %(name)s since %(date)s", name=client.team_member.name, date=day))
    elif client.team_member:
        found.append(_("with %(name)s", name=client.team_member.name))
    if client.household and may("read", "EnrollmentHousehold"):
        heads = client.relationship_to_head == Relationship.head
        name = client.household.name
        found.append(_("household %(name)s (head)", name=name) if heads else _("household %(name)s", name=name))
    return [text for text in found if text]


def _details(client: Client, names: Mapping[int | None, str]) -> list[dict[str, Any]]:
    """What else is known about the client, as far as it is."""
    language = Locale.parse(client.locale).get_display_name(render.locale_name()) if client.locale else ""
    facts = [
        {"label": _("Birth date"), "value": render.date(client.birth_date)},
        {"label": _("Language"), "value": language},
        {"label": _("Portal account"), "value": names.get(client.portal_user_id or 0, "")},
        {"label": _("Tags"), "value": render.listed(client.tags or ()), "wide": True},
        {"label": _("Notes"), "value": client.notes, "wide": True},
    ]
    return [fact for fact in facts if fact["value"]]


def _participant(participant: Any) -> dict[str, Any]:
    meta = [
        " ".join(filter(None, (participant.species, participant.breed))),
        render.date(participant.birth_date) if participant.birth_date else "",
    ]
    editable = may("edit", "EnrollmentParticipant")
    return {
        "name": participant.name, "kind_label": dict(KINDS)[ParticipantKind(participant.kind)],
        "meta": render.joined(meta),
        "edit_url": url_for("ParticipantView.edit", pk=participant.id) if editable else None,
    }


def _household(client: Client, members: Any) -> dict[str, Any] | None:
    if client.household is None or not may("read", "EnrollmentHousehold"):
        return None
    labels: dict[Any, Any] = dict(RELATIONSHIPS)
    return {
        "name": client.household.name,
        "url": url_for("HouseholdView.show", pk=client.household_id),
        "members": [
            {
                "name": m.full_name, "url": url_for("ClientView.show", pk=m.id),
                "relationship_label": labels.get(m.relationship_to_head, ""),
                "is_head": m.relationship_to_head == "head",
            }
            for m in members
        ],
    }
