"""The words of notices, in the language that is on: the reader's on a page, the client's when one is sent."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _

from ..core.web import render
from .calc import NoticeKind
from .models import Notice


def subject_of(notice: Notice) -> str:
    """What a notice is about, in a line."""
    name = notice.details["session"]
    match NoticeKind(notice.kind):
        case NoticeKind.place_given:
            return str(_("You have a place: %(session)s", session=name))
        case NoticeKind.place_held:
            return str(_("A place is held for you: %(session)s", session=name))
        case NoticeKind.session_closed:
            return str(_("%(session)s does not take place", session=name))
        case NoticeKind.session_reopened:
            return str(_("%(session)s takes place after all", session=name))


def text_of(notice: Notice) -> str:
    """What a notice says."""
    said = notice.details
    session, club, when = said["session"], said["club"], _moment(said, "starts_at")
    match NoticeKind(notice.kind):
        case NoticeKind.place_given:
            told = _("A place became free in %(session)s on %(when)s at %(club)s, and it is yours. You are booked.",
                     session=session, when=when, club=club)
        case NoticeKind.place_held:
            told = _("A place became free in %(session)s on %(when)s at %(club)s. It is held for you until %(until)s: "
                     "please confirm it by then, or it goes to the next in line.",
                     session=session, when=when, club=club, until=_moment(said, "until"))
        case NoticeKind.session_closed:
            told = _("%(session)s on %(when)s at %(club)s does not take place.", session=session, when=when, club=club)
            back = {"paid": _("What you paid with has come back."), "makeup": _("You have a session credit instead.")}
            told = " ".join(filter(None, (told, back.get(said.get("back")))))
        case NoticeKind.session_reopened:
            told = _("%(session)s on %(when)s at %(club)s takes place after all, and your booking is there again.",
                     session=session, when=when, club=club)
    return str(told)


def letter_of(notice: Notice) -> str:
    """The whole message."""
    return "\n\n".join((_("Hello %(name)s,", name=notice.client.first_name), text_of(notice)))


def _moment(said: Mapping[str, Any], name: str) -> str:
    """An instant by the clock of the club."""
    return str(render.moment(dt.datetime.fromisoformat(said[name]), said["timezone"]))
