"""REST of calendar links: which there are, making one and ending one."""

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from ..core.errors import InvalidInput
from ..core.web.access import MENU
from ..core.web.api import RecordApi, key_of, operation
from ..core.web.records import LIST_QUERY
from . import feeds
from .feed_schemas import CalendarLinkInput, CalendarLinkMade, CalendarLinkSchema
from .feeds import FeedKind
from .models import CalendarFeed


class CalendarLinkApi(RecordApi):
    """The links that the caller may change; the secret of one is told only when it is made.

    Making one takes no Idempotency-Key: its first answer would have to be kept, and the secret in it is kept nowhere.
    """

    resource = "calendar_links"
    model = CalendarFeed
    schema = CalendarLinkSchema
    class_permission_name = "EnrollmentSession"
    openapi_spec_tag = "Sessions and bookings"

    @operation("/", summary="List, paged", permission="manage_calendar_links", menu=MENU,
               answers={200: CalendarLinkSchema}, many=True, query=LIST_QUERY)
    def get_list(self) -> Any:
        return self.listing()

    @operation("/", "POST", summary="Make a link, or a new one in place of the old, which ends",
               permission="manage_calendar_links", menu=MENU, body=CalendarLinkInput, answers={201: CalendarLinkMade},
               refusals=(404, 409))
    def post(self, data: dict[str, Any]) -> Any:
        named = [kind for kind in FeedKind if data.get(f"{kind}_id") is not None]
        if len(named) != 1:
            raise InvalidInput(_l("Say whose calendar it is: a team member’s, a client’s or a class group’s."))
        kind, target_id = named[0], data[f"{named[0]}_id"]
        secret = self.work(
            lambda: feeds.rotate_feed(self.session, kind=kind, target_id=target_id, actor=self.actor)
        )
        column = getattr(CalendarFeed, f"{kind}_id")
        made = self.session.scalars(select(CalendarFeed).where(column == target_id)).one()
        url = url_for("CalendarFileView.read", secret=secret, _external=True)
        return self.result({**self.dump(made), "url": url}, 201, id=made.id)

    @operation("/<pk>", "DELETE", summary="Let a link stop working", permission="manage_calendar_links", menu=MENU,
               answers={200: None}, refusals=(404, 409), idempotent=True)
    def delete(self, pk: str) -> Any:
        self.once(lambda: feeds.end_feed(self.session, feed_id=key_of(pk), actor=self.actor))
        return self.result({})
