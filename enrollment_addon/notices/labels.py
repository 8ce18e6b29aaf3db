"""Notices in words."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from .calc import NoticeKind, NoticeState

KINDS = (
    (NoticeKind.place_given, _l("A place from the waitlist")),
    (NoticeKind.place_held, _l("A place is held")),
    (NoticeKind.session_closed, _l("A session does not take place")),
    (NoticeKind.session_reopened, _l("A session takes place after all")),
)
STATES = (
    (NoticeState.queued, lazy_pgettext("notice", "Queued")),
    (NoticeState.sent, lazy_pgettext("notice", "Sent")),
    (NoticeState.unreachable, lazy_pgettext("notice", "No e-mail address")),
)
STATE_CLASSES = {NoticeState.sent: "active", NoticeState.unreachable: "bad"}
