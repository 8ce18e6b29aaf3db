"""The table of notices."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core.db import Base, Document, Key, Tracked, UtcDateTime, one_of
from ..core.scope import scoped
from ..people.models import Client
from .calc import NoticeKind, NoticeState


@scoped
class Notice(Tracked, Base):
    """Something that a client is told; `details` are the values of its words: names and instants, nobody's data."""

    __tablename__ = "enrollment_notice"
    __table_args__ = (
        one_of("kind", NoticeKind),
        one_of("state", NoticeState),
        Index(None, "client_id", "id"),
        Index(None, "state", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="CASCADE"))
    kind: Mapped[NoticeKind] = mapped_column(String(40))
    state: Mapped[NoticeState] = mapped_column(String(20), default=NoticeState.queued)
    details: Mapped[Any] = mapped_column(Document, default=dict)
    sent_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    client: Mapped[Client] = relationship(viewonly=True)
