"""What the add-on keeps on the host's application: `app.extensions["enrollment"]`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from ..settings import Settings


class Verb(NamedTuple):
    """A business verb: its permission's name, and how staff would say it. `roles` hold it from the start."""

    name: str
    label: Any
    area: Any
    help: Any = ""
    roles: Sequence[str] = ()


@dataclass
class Extension:
    """Settings, the verbs that are switched on, and where jobs run.

    `permissions` maps a view menu to all its permissions: views and APIs of one menu must declare the same,
    because the framework removes from a menu what the class registered last does not know.
    `client_parts` are what the domains above people add to the pages of clients, `record_parts` what domains add
    to the pages of records below them, by record. `due` is the input, by kind, of the jobs that are to be done
    every night; `often` says, by kind, whether there is work for those that cannot wait for it. `checks` prove
    that what is stored adds up: each yields findings with a code and whether it was repaired, and tells `progress`
    which share of its work is done.
    """

    settings: Settings
    verbs: Sequence[Verb] = ()
    permissions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dispatcher: Any = None
    views: dict[str, Any] = field(default_factory=dict)
    apis: list[Any] = field(default_factory=list)
    client_parts: list[Any] = field(default_factory=list)
    record_parts: dict[str, list[Any]] = field(default_factory=dict)
    due: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    often: dict[str, Callable[[Session], bool]] = field(default_factory=dict)
    checks: dict[str, Callable[..., Iterable[Any]]] = field(default_factory=dict)

    def due_now(self, session: Session, *, often: bool) -> dict[str, Mapping[str, Any]]:
        """The jobs to queue now, by kind: those of the night, and the others that have something to do."""
        waiting: dict[str, Mapping[str, Any]] = {kind: {} for kind, has_work in self.often.items() if has_work(session)}
        return waiting if often else {**self.due, **waiting}
