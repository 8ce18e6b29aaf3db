"""What follows a refund that another verb caused, in its transaction: sending the money back where it came from."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from .models import Refund

AfterRefunds = Callable[[Session, Sequence[Refund]], None]

after_refunds: dict[str, AfterRefunds] = {}


def register_after_refunds(name: str, send: AfterRefunds) -> None:
    """Be told of refunds that were recorded together with something else. Again under a name: replaces."""
    after_refunds[name] = send
