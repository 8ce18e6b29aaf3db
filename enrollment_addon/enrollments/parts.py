"""What enrollments add to the client card, and the sentences of the timeline."""

from collections.abc import Collection
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..catalog.queries import offered_packages
from ..core.web import access, render
from ..credits.hooks import Told
from ..people.hooks import TimelineItem
from ..people.models import Client
from ..people.parts import ClientPart
from . import labels, queries, views
from .models import Enrollment
from .texts import details_of


def card(client: Client) -> dict[str, Any]:
    """The client's enrollments with their progress, and the packages that can be sold to them."""
    if not access.may("read", "EnrollmentEnrollment"):
        return {}
    sellable = access.can("create_enrollment") and not client.archived and client.merged_into_id is None
    packages = offered_packages(access.current_session(), client.club_id) if sellable else []
    return {
        "sections": [
            {
                "template": "enrollment_addon/_client_enrollments.html", "enrollments": views.of_client(client),
                "list_url": url_for("EnrollmentView.list", _flt_0_client_id=client.id),
                "new_url": url_for("EnrollmentView.new", pk=client.id) if sellable else None,
                "packages": [
                    {"id": p.id, "label": _("%(package)s · %(price)s", package=p.label,
                                            price=render.amount(p.price, p.currency))}
                    for p in packages
                ],
            }
        ]
    }


def own(client: Client) -> dict[str, Any]:
    """A client's enrollments with their progress, for themselves."""
    rows = []
    for item in views.of_client(client):
        counts, ends_on = item["counts"], item["ends_on"]
        rows.append(
            {
                "name": item["name"], "badge": {"label": item["status"], "class": item["status_class"]},
                "meter": (counts.used, counts.reserved, item["total"]),
                "facts": [
                    _("%(number)s used", number=render.number(counts.used)),
                    _("%(number)s reserved", number=render.number(counts.reserved)),
                    *([item["participant"]] if item["participant"] else []),
                    *([_("until %(date)s", date=render.date(ends_on))] if ends_on else []),
                ],
                "left": {
                    "number": counts.remaining, "label": _("of %(total)s left", total=render.number(item["total"])),
                },
            }
        )
    return {"title": _("Enrollments"), "rows": rows, "empty": _("Not enrolled in anything yet.")}


def tell(item: TimelineItem) -> tuple[Any, str | None] | None:
    """A step of an enrollment as a sentence."""
    if item.record != "enrollment" or item.verb not in labels.VERBS:
        return None
    package = item.details.get("package", "")
    return render.joined((labels.VERBS[item.verb], package, *details_of(item.details))), None


def told_enrollments(session: Session, keys: Collection[int]) -> dict[int, Told]:
    """Enrollments for the ledger of credits: what was bought."""
    return {key: _told(item) for key, item in queries.enrollments_by_key(session, keys).items()}


def _told(item: Enrollment) -> Told:
    def url() -> str | None:
        readable = access.may("read", "EnrollmentEnrollment")
        return url_for("EnrollmentView.show", pk=item.id) if readable else None

    return Told((views.named(item),), url)


PART = ClientPart(card=card, own=own, tell=tell, records={"enrollment": "EnrollmentEnrollment"})
