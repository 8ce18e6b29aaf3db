"""REST of notices."""

from sqlalchemy.orm import joinedload

from ..core.web.records import readable
from .models import Notice
from .schemas import NoticeSchema
from .views import NoticeView


class NoticeApi(readable(NoticeSchema)):  # type: ignore[misc]
    """What clients were told, the oldest first."""

    resource = "notices"
    model = Notice
    class_permission_name = "EnrollmentNotice"
    openapi_spec_tag = "Notices"
    filters = NoticeView.filters
    orders = {"created_at": (Notice.id,)}
    load = (joinedload(Notice.client),)
