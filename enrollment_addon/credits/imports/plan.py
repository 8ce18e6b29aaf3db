"""What the rows of each person would do, decided from what is known; the dry run and the import share it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ...core import clock, money
from ...core.errors import AddonError, InvalidInput
from ...core.scope import Actor, Reach
from ...people.models import Client, Club, TeamMember
from ...people.service import check_client_fields
from ..models import lots
from . import calc, queries
from .calc import KnownBy, Matched, Options, Said, Terms
from .labels import FIELDS
from .models import ClientImport, Outcome, credits

EMAIL_TAKEN = _l("Another client already has this e-mail address.")
TAKEN: Mapping[KnownBy, Any] = {
    KnownBy.reference: _l("Another client already has this reference."),
    KnownBy.email: EMAIL_TAKEN,
    KnownBy.name: _l("A client of this name was imported into this club before, whom you do not see. An e-mail or a "
                     "reference tells them apart."),
    KnownBy.row: _l("This row was imported before."),
}
"""Why a person's rows are not of the client that an earlier import made of such rows."""
MOST_ROWS_EACH = 100
MOST_NAMED = 10
"""As many rows of one name a warning lists."""
_LABELS = dict(FIELDS)
_clients: Any = Client.__table__


@dataclass
class PersonPlan:
    """What happens to one person: `values` to write, `credits` by row, and the rows that are refused and why.

    `remembered`: an earlier import said the same of the client, so that nothing about them is written. `warned`:
    what a person should look at in rows that are not refused.
    """

    identity: str
    numbers: list[int]
    known_by: KnownBy
    client: Client | None = None
    outcome: Outcome = Outcome.refused
    values: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    remembered: bool = False
    credits: list[Matched] = field(default_factory=list)
    refused: dict[int, AddonError] = field(default_factory=dict)
    warned: dict[int, AddonError] = field(default_factory=dict)

    def refuse_all(self, error: AddonError) -> None:
        for number in self.numbers:
            self.refused.setdefault(number, error)
        self.credits = []

    @property
    def left(self) -> list[int]:
        """The rows that are not refused."""
        return [number for number in self.numbers if number not in self.refused]

    def outcomes(self) -> dict[int, Outcome]:
        """What each row does: the first one stands for the client, every one for its own credits."""
        changing = {matched.number for matched in self.credits if not matched.same}
        found = dict.fromkeys(self.refused, Outcome.refused)
        for place, number in enumerate(self.left):
            own = self.outcome if place == 0 else Outcome.unchanged
            found[number] = Outcome.update if own is Outcome.unchanged and number in changing else own
        return found


class Known:
    """What the plans of some rows depend on, read in a bounded number of queries."""

    def __init__(self, session: Session, item: ClientImport, found: Sequence[Any], actor: Actor) -> None:
        self.session, self.item, self.actor = session, item, actor
        self.options = Options(**item.options)
        self.groups = [(key, list(group)) for key, group in groupby(found, key=lambda row: row.identity)]
        self.identities = queries.known_identities(session, [key for key, _ in self.groups])
        emails = {text.lower() for row in found if (text := self._text(row.cells, "email"))}
        self.taken = {
            row.email: row.id
            for row in session.connection().execute(
                select(_clients.c.email, _clients.c.id).where(_clients.c.email.in_(emails))
            )
        }
        wanted = {*self.taken.values(), *(row.client_id for row in self.identities.values())}
        reachable = select(Client).options(joinedload(Client.club))
        self.clients = {c.id: c for c in session.scalars(reachable.where(Client.id.in_(wanted)))}
        self.namesakes = self._namesakes(found, reachable)

    def _text(self, cells: Sequence[Any], name: str) -> str:
        return calc.text_of(cells, name, self.options)

    def _namesakes(self, found: Sequence[Any], reachable: Any) -> dict[tuple[str, str], list[Client]]:
        """Clients who are called like people that the file tells no e-mail of."""
        names = {
            (self._text(row.cells, "first_name"), self._text(row.cells, "last_name"))
            for row in found
            if row.identity not in self.identities and not self._text(row.cells, "email")
        }
        result: dict[tuple[str, str], list[Client]] = {}
        if names:
            query = reachable.where(
                Client.first_name.in_({first for first, _ in names}), Client.last_name.in_({last for _, last in names})
            )
            for client in self.session.scalars(query):
                result.setdefault((client.first_name, client.last_name), []).append(client)
                self.clients[client.id] = client
        return result

    @cached_property
    def credits(self) -> Mapping[int, list[tuple[Any, Terms]]]:
        """What earlier imports gave these clients, with the state of the lots."""
        result: dict[int, list[tuple[Any, Terms]]] = {}
        query = (
            select(credits, lots.c.available, lots.c.quantity.label("whole"), lots.c.client_id.label("holder"))
            .join(lots, lots.c.id == credits.c.lot_id)
            .where(credits.c.client_id.in_(list(self.clients)), credits.c.import_id != self.item.id)
            .order_by(credits.c.id)
        )
        for row in self.session.execute(query):
            terms = Terms(row.event_type_id, row.quantity, row.expires_on, row.unit_value)
            result.setdefault(row.client_id, []).append((row, terms))
        return result

    @cached_property
    def event_types(self) -> Mapping[str, int]:
        return queries.event_types_by_name(self.session)

    @cached_property
    def clubs(self) -> Mapping[str, Club]:
        """The clubs that the person who imports may put clients into, by name."""
        query = select(Club).where(Club.active)
        if self.actor.reach is Reach.own_clubs:
            query = query.where(Club.id.in_(self.actor.club_ids))
        return {club.name.casefold(): club for club in self.session.scalars(query)}

    @cached_property
    def members(self) -> Mapping[str, list[int]]:
        """Active team members by name; for someone with clients of their own only themself."""
        query = select(TeamMember.id, TeamMember.name).where(TeamMember.active)
        if self.actor.reach is Reach.own_clients:
            query = query.where(TeamMember.id == self.actor.team_member_id)
        result: dict[str, list[int]] = {}
        for key, name in self.session.execute(query):
            result.setdefault(name.casefold(), []).append(key)
        return result

    def club_of(self, club_id: int | None) -> Club | None:
        return next((club for club in self.clubs.values() if club.id == club_id), None)

    def plans(self) -> list[PersonPlan]:
        return [self._plan(key, group) for key, group in self.groups]

    def _plan(self, identity: str, group: Sequence[Any]) -> PersonPlan:
        known_by = calc.known_by(group[0].cells, self.options)
        plan = PersonPlan(identity, [row.number for row in group], known_by)
        if len(group) > MOST_ROWS_EACH:
            plan.refuse_all(InvalidInput(_l("More than %(most)s rows are of the same person."), most=MOST_ROWS_EACH))
            return plan
        readable: list[Said] = []
        for row in group:
            try:
                if len(row.cells) > len(self.item.header):
                    raise InvalidInput(_l("The row has more cells than the file has columns."))
                readable.append(calc.said(row.number, row.cells, self.options))
            except InvalidInput as error:
                plan.refused[row.number] = error
        together, contradictions = calc.merged(readable)
        for number, (name, other) in contradictions.items():
            plan.refused[number] = InvalidInput(
                _l("%(field)s: row %(number)s says otherwise of the same person."), field=_LABELS[name], number=other
            )
        if not plan.left:
            return plan
        try:
            self._decide(plan, together)
        except AddonError as error:
            plan.refuse_all(error)
            return plan
        self._decide_credits(plan, [row for row in readable if row.number in plan.left])
        if not plan.left:
            plan.outcome = Outcome.refused
        elif plan.known_by is KnownBy.name:
            self._warn_of_namesakes(plan, together)
        return plan

    def _warn_of_namesakes(self, plan: PersonPlan, together: Mapping[str, Any]) -> None:
        """Say where nothing but the name tells who is meant."""
        if len(plan.left) > 1 and not together.keys() & {"birth_date", "phone"}:
            warning = InvalidInput(
                _l("Rows %(rows)s have the same name and become one client. If they are different people, give an "
                   "e-mail, a reference, a phone number or a birth date."),
                rows=", ".join(map(str, plan.left[:MOST_NAMED])) + (" …" if len(plan.left) > MOST_NAMED else ""),
            )
            plan.warned = dict.fromkeys(plan.left, warning)
        elif plan.outcome is Outcome.create and self._called(together):
            plan.warned[plan.left[0]] = InvalidInput(
                _l("There is a client of this name already; this one is added as another person.")
            )

    def _called(self, together: Mapping[str, Any]) -> list[Client]:
        """The clients of this name in the club that these rows are about, as far as they are reached."""
        club = self.clubs.get(together["club"].casefold()) if "club" in together else None
        club_id = club.id if club else self.options.club_id
        same = self.namesakes.get((together.get("first_name", ""), together.get("last_name", "")), [])
        return [client for client in same if club_id in (None, client.club_id)]

    def _decide(self, plan: PersonPlan, together: Mapping[str, Any]) -> None:
        """Who the person is and what changes about them. Raises: AddonError."""
        plan.client = self._client_of(plan.identity, plan.known_by, together)
        values = self._values(together, new=plan.client is None)
        plan.fingerprint = calc.digest(together)
        before = self.identities.get(plan.identity)
        if plan.client is None:
            plan.outcome, plan.values = Outcome.create, values
            return
        if plan.client.archived:
            raise InvalidInput(_l("This client is archived or erased."))
        if before is not None and before.fingerprint == plan.fingerprint:
            plan.outcome, plan.remembered = Outcome.unchanged, True
            return
        if "tags" in values:
            values["tags"] = list(dict.fromkeys([*plan.client.tags, *values["tags"]]))
        plan.values = {name: value for name, value in values.items() if getattr(plan.client, name) != value}
        plan.outcome = Outcome.update if plan.values else Outcome.unchanged
        if self.taken.get(values.get("email"), plan.client.id) != plan.client.id:
            raise InvalidInput(EMAIL_TAKEN)

    def _client_of(self, identity: str, known_by: KnownBy, together: Mapping[str, Any]) -> Client | None:
        """The client that these rows are of: as an earlier import knows, else by e-mail, else by name.

        Raises: InvalidInput when it is one who cannot be reached or changed, or several fit.
        """
        before = self.identities.get(identity)
        key = before.client_id if before else self.taken.get(str(together.get("email", "")).lower())
        if key is not None:
            client = self.clients.get(key)
            if client is None:
                raise InvalidInput(EMAIL_TAKEN if before is None else TAKEN[known_by])
        else:
            client = None if "email" in together else self._namesake(together)
        if client is not None and (client.erased_at or client.merged_into_id):
            raise InvalidInput(_l("This client is archived or erased."))
        return client

    def _namesake(self, together: Mapping[str, Any]) -> Client | None:
        """The one client of this name and club with the same birth date or phone.

        Raises: InvalidInput for several.
        """
        found = [
            client for client in self._called(together)
            if any(together.get(f) is not None and getattr(client, f) == together[f] for f in ("birth_date", "phone"))
        ]
        if len(found) > 1:
            raise InvalidInput(_l("Several clients have this name. An e-mail or a reference tells which is meant."))
        return found[0] if found else None

    def _values(self, together: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        """The values to store. Raises: InvalidInput naming the field."""
        fields = {name: value for name, value in together.items() if name not in ("club", "team_member")}
        if "club" in together:
            club = self.clubs.get(together["club"].casefold())
            if club is None:
                raise InvalidInput(_l("There is no club “%(text)s”."), text=together["club"][: calc.SHOWN])
            fields["club_id"] = club.id
        elif new:
            default = self.club_of(self.options.club_id)
            if default is None:
                raise InvalidInput(_l("The row names no club, and none was chosen for such rows."))
            fields["club_id"] = default.id
        if "team_member" in together:
            fields["team_member_id"] = self._member(together["team_member"])
        if new:
            fields = {"first_name": None, "last_name": None, **fields}
        try:
            return check_client_fields(fields)
        except InvalidInput as error:
            name, problem = next(iter(error.fields.items()))
            raise InvalidInput(
                _l("%(field)s: %(problem)s"), field=_LABELS.get(name, name), problem=problem
            ) from None

    def _member(self, name: str) -> int:
        found = self.members.get(name.casefold(), [])
        if len(found) > 1:
            raise InvalidInput(_l("Several team members are called “%(text)s”."), text=name[: calc.SHOWN])
        if not found:
            raise InvalidInput(_l("There is no team member “%(text)s”."), text=name[: calc.SHOWN])
        return found[0]

    def _decide_credits(self, plan: PersonPlan, said: Sequence[Said]) -> None:
        """Which credits are new, changed or there already; rows whose credits can't be given are refused."""
        club = self.club_of(plan.values.get("club_id")) or (plan.client.club if plan.client else None)
        wanted = []
        for row in said:
            try:
                if row.quantity is not None and club is not None:
                    wanted.append((row.number, self._terms(row, club)))
            except InvalidInput as error:
                plan.refused[row.number] = error
        known = self.credits.get(plan.client.id, []) if plan.client and wanted else []
        for matched in calc.match_credits(wanted, known):
            try:
                if not matched.same and club is not None:
                    self._check_change(matched, club)
            except InvalidInput as error:
                plan.refused[matched.number] = error
            else:
                plan.credits.append(matched)

    def _terms(self, row: Said, club: Club) -> Terms:
        key = self.event_types.get(row.event_type.casefold())
        if key is None:
            raise InvalidInput(
                _l("There is no active event type “%(text)s”."), text=row.event_type[: calc.SHOWN]
            )
        if row.unit_value < 0:
            raise InvalidInput(_l("The unit cost is below zero."))
        assert row.quantity is not None, "rows without credits have no terms"
        return Terms(key, row.quantity, row.expires_on, money.to_minor(row.unit_value, club.currency))

    def _check_change(self, matched: Matched, club: Club) -> None:
        """Raises: InvalidInput for credits that would be expired, or were used since they were imported."""
        expires_on, old = matched.terms.expires_on, matched.old
        if expires_on is not None and expires_on < clock.today(club.timezone):
            raise InvalidInput(_l("The expiry %(text)s is in the past."), text=expires_on.isoformat())
        if old is not None and (old.available != old.whole or old.holder != old.client_id):
            raise InvalidInput(
                _l("The credits that this row gave before have been used or moved since; change them on the client.")
            )
