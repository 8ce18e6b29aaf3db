"""Every verb on credits in random order, against a plain model of what they mean.

The model below knows nothing of databases, locks or entries: it is the specification in Python. After each
step the lots and balances in the database are those of the model; at the end the ledger is sound and every
batch that can be undone is undone. `ENROLLMENT_EXAMPLES=200` tries more than the usual few.
"""

import datetime as dt
import os
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import Conflict
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import service
from enrollment_addon.credits.models import balances, lot_participants
from tests import factories
from tests.credits.conftest import Studio

EXAMPLES = int(os.environ.get("ENROLLMENT_EXAMPLES", "5"))
START = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
GRACE = 14
REFUSED = object()
SHOWN = ("quantity", "available", "reserved", "used", "expired", "voided", "transferred")


@dataclass
class Lot:
    """One grant. Days are counted from the start; None never expires."""

    key: int
    owner: int
    kind: int
    quantity: int
    last_day: int | None = None
    priority: int = 50
    value: int = 0
    shared: bool = False
    cap: int | None = None
    only: tuple[int, ...] = ()
    born: int = 0
    held: bool = False
    available: int = 0
    reserved: int = 0
    used: int = 0
    expired: int = 0
    voided: int = 0
    transferred: int = 0

    def order(self, who: int) -> tuple[Any, ...]:
        last = 10_000 if self.last_day is None else self.last_day
        return self.owner != who, self.priority, last, self.value > 0, self.born, self.key

    def is_good(self, day: int) -> bool:
        return not self.held and (self.last_day is None or self.last_day >= day)


@dataclass
class Portion:
    """A lot that comes out of a conversion or transfer: on whose terms, and the lots each step of it is made of."""

    first: int
    last_day: int | None
    value: int
    steps: list[list[int]] = field(default_factory=list)


@dataclass
class Booking:
    who: int
    kind: int
    quantity: int
    state: str
    takes: list[tuple[int, int]] = field(default_factory=list)


class Refused(Exception):
    """The model says no."""


@dataclass
class Model:
    """What the verbs mean."""

    day: int = 0
    lots: dict[int, Lot] = field(default_factory=dict)
    bookings: dict[int, Booking] = field(default_factory=dict)
    spent: dict[tuple[int, int], int] = field(default_factory=dict)

    def take(self, lots: list[tuple[Lot, int]], quantity: int) -> list[tuple[int, int]]:
        takes = []
        for lot, most in lots:
            part = min(most, quantity)
            if part > 0:
                takes.append((lot.key, part))
                quantity -= part
        if quantity:
            raise Refused
        return takes

    def may_spend(self, who: int, kind: int, attends: int | None, *, shared: bool) -> list[tuple[Lot, int]]:
        found = []
        for lot in sorted(self.lots.values(), key=lambda lot: lot.order(who)):
            if lot.kind != kind or not lot.is_good(self.day) or (lot.only and attends not in lot.only):
                continue
            if lot.owner == who:
                found.append((lot, lot.available))
            elif shared and lot.shared:
                left = lot.available if lot.cap is None else lot.cap - self.spent.get((lot.key, who), 0)
                found.append((lot, min(lot.available, left)))
        return found

    def reserve(self, number: int, who: int, kind: int, quantity: int, attends: int | None) -> list[tuple[int, int]]:
        known = self.bookings.get(number)
        if known and known.state != "released":
            if known.state == "used" or (known.who, known.kind, known.quantity) != (who, kind, quantity):
                raise Refused
            return known.takes
        takes = self.take(self.may_spend(who, kind, attends, shared=True), quantity)
        for key, count in takes:
            self.lots[key].available -= count
            self.lots[key].reserved += count
            self._spend(key, who, count)
        self.bookings[number] = Booking(who, kind, quantity, "reserved", takes)
        return takes

    def _spend(self, key: int, who: int, count: int) -> None:
        if self.lots[key].owner != who:
            self.spent[key, who] = self.spent.get((key, who), 0) + count

    def follow(self, verb: str, number: int) -> None:
        booking = self.bookings.get(number)
        before, after = {
            "consume": (("reserved", "restored"), "used"), "restore": (("used",), "restored"),
            "release": (("reserved", "restored"), "released"),
        }[verb]
        if booking is None or booking.state not in (*before, after):
            raise Refused
        if booking.state == after:
            return
        booking.state = after
        for key, count in booking.takes:
            lot = self.lots[key]
            match verb:
                case "consume":
                    lot.reserved, lot.used = lot.reserved - count, lot.used + count
                case "restore":
                    lot.reserved, lot.used = lot.reserved + count, lot.used - count
                case _:
                    if not lot.held and lot.last_day is not None and lot.last_day < self.day:
                        lot.expired, lot.available = lot.expired + lot.available, 0
                        lot.last_day = self.day + GRACE
                    lot.reserved, lot.available = lot.reserved - count, lot.available + count
                    self._spend(key, booking.who, -count)

    def void(self, keys: list[int]) -> int:
        voided = sum(self.lots[key].available for key in keys)
        for key in keys:
            self.lots[key].voided += self.lots[key].available
            self.lots[key].available = 0
        return voided

    def take_back(self, keys: list[int], quantity: int) -> None:
        last_first = sorted((self.lots[key] for key in keys), key=lambda lot: lot.order(lot.owner), reverse=True)
        for key, count in self.take([(lot, lot.available) for lot in last_first], quantity):
            self.lots[key].available -= count
            self.lots[key].voided += count

    def extend(self, keys: list[int], last_day: int | None) -> list[tuple[int, int | None]]:
        alive = [self.lots[key] for key in keys if self.lots[key].available + self.lots[key].reserved]
        if not alive:
            raise Refused
        changed = [(lot.key, lot.last_day) for lot in alive if lot.last_day != last_day]
        for lot in alive:
            lot.last_day = last_day
        return changed

    def leaving(self, who: int, kind: int, quantity: int, give: int = 1) -> list[tuple[int, int]]:
        """What leaves which lots: alike ones follow each other, and what is no whole step of them stays."""
        own = self.own(who, kind)
        if give == 1:
            takes = self.take([(lot, lot.available) for lot in own], quantity)
        else:
            takes = self.whole_steps(own, quantity, give)
            if sum(count for _, count in takes) < quantity:
                raise Refused
        for key, count in takes:
            self.leave(key, count)
        return takes

    def own(self, who: int, kind: int) -> list[Lot]:
        return [
            lot for lot in sorted(self.lots.values(), key=lambda lot: lot.order(who))
            if (lot.owner, lot.kind) == (who, kind) and lot.is_good(self.day)
        ]

    def whole_steps(self, own: list[Lot], quantity: int, give: int) -> list[tuple[int, int]]:
        takes: list[tuple[int, int]] = []
        for only in dict.fromkeys(lot.only for lot in own if lot.available):
            alike = [lot for lot in own if lot.only == only]
            part = min(sum(lot.available for lot in alike), quantity) // give * give
            takes += self.take([(lot, lot.available) for lot in alike], part)
            quantity -= part
        return takes

    def leaving_lots(self, keys: list[int], target: int) -> list[tuple[int, int]]:
        """All that is left in these lots and may leave them."""
        lots = [self.lots[key] for key in sorted(keys)]
        takes = [
            (lot.key, lot.available) for lot in lots
            if lot.owner != target and lot.available and lot.is_good(self.day)
        ]
        if not takes:
            raise Refused
        for key, count in takes:
            self.leave(key, count)
        return takes

    def converting(self, whom: list[int], kind: int, most: int | None, give: int) -> list[list[tuple[int, int]]]:
        """What leaves which lots of each client: all whole steps, or at most so many credits."""
        found = []
        for who in sorted(whom):
            own = self.own(who, kind)
            there = sum(lot.available for lot in own)
            if takes := self.whole_steps(own, min(most or there, there), give):
                found.append(takes)
        if not found:
            raise Refused
        for key, count in (take for takes in found for take in takes):
            self.leave(key, count)
        return found

    def leave(self, key: int, count: int) -> None:
        self.lots[key].available -= count
        self.lots[key].transferred += count

    def sweep(self) -> None:
        for lot in self.lots.values():
            if not lot.is_good(self.day) and not lot.held:
                lot.expired, lot.available = lot.expired + lot.available, 0

    def converted(self, takes: list[tuple[int, int]], give: int, get: int) -> list["Portion"]:
        """What comes out: steps in the order of what left; neighbours that are alike are one."""
        credits = [self.lots[key] for key, count in takes for _ in range(count)]
        made: list[Portion] = []
        for start in range(0, len(credits), give):
            step = credits[start : start + give]
            last = min((lot.last_day for lot in step if lot.last_day is not None), default=None)
            portion = Portion(step[0].key, last, sum(lot.value for lot in step) // get)
            if not made or replace(made[-1], steps=[]) != portion:
                made.append(portion)
            made[-1].steps.append([lot.key for lot in step])
        return made


@dataclass
class Done:
    """A batch: what it was, and what its undo has to know."""

    verb: str
    lots: list[Any] = field(default_factory=list)
    new_day: int | None = None
    get: int = 1
    undone: bool = False

    def made(self) -> list[int]:
        """The lots that came to be by it."""
        if self.verb == "move":
            return [arrived for arrived, _ in self.lots]
        return self.lots if self.verb == "grant" else []


class Ledger(RuleBasedStateMachine):
    """Three members of a household, two event types, and every verb."""

    session: Any = None

    @initialize()
    def start(self) -> None:
        with clock.frozen(START):
            self.studio = Studio(self.session)
            self.clients = self.studio.clients(3)
            with unit_of_work(self.session):
                people = [self.session.get(factories.Client, key) for key in self.clients]
                factories.make_household(self.session, *people)
                self.kids = [factories.make_participant(self.session, client).id for client in people]
                other = factories.make_event_type(self.session).id
        self.kinds = (self.studio.type_id, other)
        self.model = Model()
        self.batches: dict[int, Done] = {}
        self.first_booking = self.clients[0] * 1_000

    def date(self, day: int | None) -> dt.date | None:
        return None if day is None else START.date() + dt.timedelta(days=day)

    def both(self, expected: Any, do: Any) -> Any:
        """Do it in the database on the model's day; both say yes, or both say no (then None)."""
        with clock.frozen(START + dt.timedelta(days=self.model.day)):
            try:
                result = do()
            except Conflict:
                self.session.rollback()
                result = REFUSED
        assert (result is REFUSED) == (expected is Refused), (expected, result)
        return None if result is REFUSED else result

    def ask(self, do: Any) -> Any:
        try:
            return do()
        except Refused:
            return Refused

    def adopt(self, made: list[Lot]) -> list[int]:
        """Give the model's new lots the keys of those that are new in the database, in order."""
        known = self.model.lots
        rows = sorted((row for row in self.studio.lots(*self.clients) if row.id not in known), key=lambda row: row.id)
        assert len(rows) == len(made)
        for row, lot in zip(rows, made, strict=True):
            lot.key = row.id
            known[row.id] = lot
        return [row.id for row in rows]

    def draw_lots(self, data: Any) -> list[int]:
        return data.draw(st.lists(st.sampled_from(sorted(self.model.lots)), min_size=1, max_size=3, unique=True))

    @rule(
        who=st.sets(st.integers(0, 2), min_size=1), kind=st.integers(0, 1), quantity=st.integers(1, 5),
        last=st.none() | st.integers(0, 6), priority=st.sampled_from([10, 50]), value=st.sampled_from([0, 700]),
        cap=st.sampled_from([0, None, 1, 2]), restricted=st.booleans(),
    )
    def grant(self, who, kind, quantity, last, priority, value, cap, restricted) -> None:
        day = None if last is None else self.model.day + last
        only = (self.kids[min(who)],) if restricted and len(who) == 1 else ()
        sharing = {"shared": cap != 0, "member_cap": cap or None, "participant_ids": only}
        result = self.both(None, lambda: self.studio.grant(
            [self.clients[i] for i in who], quantity, event_type_id=self.kinds[kind], expires_on=self.date(day),
            priority=priority, unit_value=str(value / 100), **sharing,
        ))
        made = [
            Lot(0, self.clients[i], self.kinds[kind], quantity, day, priority, value, cap != 0, cap or None,
                only, self.model.day, available=quantity)
            for i in sorted(who)
        ]
        self.batches[result["batch_id"]] = Done("grant", self.adopt(made))

    @rule(
        who=st.integers(0, 2), kind=st.integers(0, 1), quantity=st.integers(1, 3), number=st.integers(0, 9),
        comes=st.booleans(),
    )
    def reserve(self, who, kind, quantity, number, comes) -> None:
        booking, client, event_type = self.first_booking + number, self.clients[who], self.kinds[kind]
        attends = self.kids[who] if comes else None
        expected = self.ask(lambda: self.model.reserve(booking, client, event_type, quantity, attends))
        result = self.both(expected, lambda: self.studio.reserve(
            client, booking, event_type_id=event_type, quantity=quantity, on=self.date(self.model.day),
            participant_id=attends,
        ))
        if result is not None:
            assert sorted((take.lot_id, take.quantity) for take in result) == sorted(expected)

    @precondition(lambda self: self.model.bookings)
    @rule(verb=st.sampled_from(["consume", "restore", "release"]), data=st.data())
    def follow(self, verb, data) -> None:
        booking = data.draw(st.sampled_from(sorted(self.model.bookings)))
        expected = self.ask(lambda: self.model.follow(verb, booking))
        over = {"today": self.date(self.model.day), "grace_days": GRACE} if verb == "release" else {}
        self.both(expected, lambda: self.studio.act(verb, booking, **over))

    @precondition(lambda self: self.model.lots)
    @rule(data=st.data())
    def void(self, data) -> None:
        keys = self.draw_lots(data)
        gone = [(key, self.model.lots[key].available) for key in keys]
        expected = self.model.void(keys)
        result = self.both(None, lambda: self.studio.move("void_lots", lot_ids=keys))
        assert result["voided"] == expected
        self.batches[result["batch_id"]] = Done("void", gone)

    @precondition(lambda self: self.model.lots)
    @rule(quantity=st.integers(1, 4), data=st.data())
    def take_back(self, quantity, data) -> None:
        keys = self.draw_lots(data)
        expected = self.ask(lambda: self.model.take_back(keys, quantity))
        self.both(expected, lambda: self.studio.move("take_back", lot_ids=keys, quantity=quantity))

    @precondition(lambda self: self.model.lots)
    @rule(last=st.none() | st.integers(0, 9), data=st.data())
    def extend(self, last, data) -> None:
        keys, day = self.draw_lots(data), None if last is None else self.model.day + last
        expected = self.ask(lambda: self.model.extend(keys, day))
        result = self.both(
            expected, lambda: self.studio.move("extend_lots", lot_ids=keys, expires_on=self.date(day))
        )
        if result is not None:
            self.batches[result["batch_id"]] = Done("extend", expected, new_day=day)

    @precondition(lambda self: self.model.lots)
    @rule(days=st.integers(-3, 3), data=st.data())
    def shift(self, days, data) -> None:
        keys = self.draw_lots(data)
        for key in keys:
            lot = self.model.lots[key]
            lot.last_day = None if lot.last_day is None else lot.last_day + days
        self.both(None, lambda: self.studio.move("shift_expiry", lot_ids=keys, days=days))

    @precondition(lambda self: self.model.lots)
    @rule(held=st.booleans(), data=st.data())
    def hold(self, held, data) -> None:
        keys = self.draw_lots(data)
        for key in keys:
            self.model.lots[key].held = held
        with unit_of_work(self.session):
            service.hold_lots(self.session, lot_ids=keys, held=held, actor=SYSTEM)

    @precondition(lambda self: self.model.lots)
    @rule(ends=st.permutations([0, 1, 2]), kind=st.integers(0, 1), quantity=st.integers(1, 4))
    def transfer(self, ends, kind, quantity) -> None:
        source, target, event_type = self.clients[ends[0]], self.clients[ends[1]], self.kinds[kind]
        takes = self.ask(lambda: self.model.leaving(source, event_type, quantity))
        result = self.both(takes, lambda: self.studio.move(
            "transfer_credits", from_client_id=source, to_client_id=target, event_type_id=event_type, quantity=quantity
        ))
        if result is not None:
            made = [self.born(key, count, owner=target, only=()) for key, count in takes]
            steps = [[[key]] * count for key, count in takes]
            self.batches[result["batch_id"]] = Done("move", list(zip(self.adopt(made), steps, strict=True)))

    @precondition(lambda self: self.model.lots)
    @rule(
        who=st.integers(0, 2), kind=st.integers(0, 1), quantity=st.integers(2, 6),
        ratio=st.sampled_from([(2, 1), (2, 3)]),
    )
    def convert(self, who, kind, quantity, ratio) -> None:
        client, (give, get) = self.clients[who], ratio
        source, target = self.kinds[kind], self.kinds[1 - kind]
        takes = self.ask(lambda: self.model.leaving(client, source, quantity // give * give, give))
        result = self.both(takes, lambda: self.studio.move(
            "convert_credits", client_id=client, from_event_type_id=source, to_event_type_id=target, quantity=quantity,
            give=give, get=get,
        ))
        if result is not None:
            portions = self.model.converted(takes, give, get)
            made = [
                self.born(item.first, len(item.steps) * get, kind=target, last_day=item.last_day, value=item.value)
                for item in portions
            ]
            pairs = list(zip(self.adopt(made), [item.steps for item in portions], strict=True))
            self.batches[result["batch_id"]] = Done("move", pairs, get=get)

    @precondition(lambda self: self.model.lots)
    @rule(taker=st.integers(0, 2), data=st.data())
    def transfer_lots(self, taker, data) -> None:
        keys, receiver = self.draw_lots(data), self.clients[taker]
        takes = self.ask(lambda: self.model.leaving_lots(keys, receiver))
        result = self.both(takes, lambda: self.studio.move("transfer_lots", lot_ids=keys, to_client_id=receiver))
        if result is not None:
            assert result["transferred"] == sum(count for _, count in takes)
            made = [self.born(key, count, owner=receiver, only=()) for key, count in takes]
            steps = [[[key]] * count for key, count in takes]
            self.batches[result["batch_id"]] = Done("move", list(zip(self.adopt(made), steps, strict=True)))

    @precondition(lambda self: self.model.lots)
    @rule(
        who=st.sets(st.integers(0, 2), min_size=1), kind=st.integers(0, 1), most=st.none() | st.integers(2, 4),
        ratio=st.sampled_from([(2, 1), (2, 3)]),
    )
    def convert_many(self, who, kind, most, ratio) -> None:
        whom, (give, get) = [self.clients[i] for i in who], ratio
        source, target = self.kinds[kind], self.kinds[1 - kind]
        found = self.ask(lambda: self.model.converting(whom, source, most, give))
        result = self.both(found, lambda: self.studio.move(
            "convert_for_clients", clients=whom, from_event_type_id=source, to_event_type_id=target, quantity=most,
            give=give, get=get, threshold=500, chunk=2,
        ))
        if result is not None:
            portions = [item for takes in found for item in self.model.converted(takes, give, get)]
            made = [
                self.born(item.first, len(item.steps) * get, kind=target, last_day=item.last_day, value=item.value)
                for item in portions
            ]
            pairs = list(zip(self.adopt(made), [item.steps for item in portions], strict=True))
            self.batches[result["batch_id"]] = Done("move", pairs, get=get)

    def born(self, key: int, count: int, **over: Any) -> Lot:
        """A new lot on the terms of another, as it is made by a move."""
        gone = dict.fromkeys(("reserved", "used", "expired", "voided", "transferred"), 0)
        return replace(self.model.lots[key], **{**gone, "held": False, "quantity": count, "available": count, **over})

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def undo(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.batches)))
        self.take_batch_back(key)

    def take_batch_back(self, key: int) -> None:
        batch = self.batches[key]
        if batch.undone:
            self.both(Refused, lambda: self.studio.undo(key))
            return
        batch.undone = True
        match batch.verb:
            case "grant":
                expected = self.model.void(batch.lots)
            case "extend":
                expected = self.undo_extension(batch)
            case "void":
                expected = self.undo_void(batch)
            case _:
                expected = 0
                for arrived, steps in batch.lots:
                    whole = self.model.lots[arrived].available // batch.get
                    self.model.leave(arrived, whole * batch.get)
                    for origin in (key for step in steps[len(steps) - whole :] for key in step):
                        self.model.leave(origin, -1)
                    expected += whole * batch.get
        result = self.both(None, lambda: self.studio.undo(key, chunk=2))
        assert result["taken_back"] == expected

    def undo_void(self, batch: Done) -> int:
        """Nothing comes back to a lot whose own grant or move was undone."""
        undone = {key for other in self.batches.values() if other.undone for key in other.made()}
        back = 0
        for key, count in batch.lots:
            if key not in undone:
                self.model.lots[key].available += count
                self.model.lots[key].voided -= count
                back += count
        return back

    def undo_extension(self, batch: Done) -> int:
        back = 0
        for key, before in batch.lots:
            lot = self.model.lots[key]
            if lot.last_day == batch.new_day and lot.available + lot.reserved:
                lot.last_day = before
                back += lot.available
        return back

    @rule(days=st.integers(1, 3))
    def days_pass(self, days) -> None:
        self.model.day += days

    @rule()
    def nightly_sweep(self) -> None:
        self.sweep()

    def sweep(self) -> None:
        self.model.sweep()
        today = self.date(self.model.day)
        with unit_of_work(self.session):
            while not service.expire_lots(self.session, size=50, actor=SYSTEM, today=lambda _: today).finished:
                pass

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        rows = self.studio.lots(*self.clients)
        assert {row.id for row in rows} == set(self.model.lots)
        with unit_of_work(self.session):
            named = self.session.execute(
                select(lot_participants).where(lot_participants.c.lot_id.in_(self.model.lots))
            ).all()
        restricted: dict[int, list[int]] = {}
        for row in named:
            restricted.setdefault(row.lot_id, []).append(row.participant_id)
        sums: dict[tuple[int, int], list[int]] = {}
        for row in rows:
            lot = self.model.lots[row.id]
            assert {name: getattr(row, name) for name in SHOWN} == {name: getattr(lot, name) for name in SHOWN}
            assert row.expires_on == self.date(lot.last_day)
            assert (row.client_id, row.event_type_id, row.unit_value) == (lot.owner, lot.kind, lot.value)
            assert tuple(restricted.get(row.id, ())) == lot.only
            assert min(getattr(lot, name) for name in SHOWN) >= 0
            assert lot.quantity == sum(getattr(lot, name) for name in SHOWN[1:])
            total = sums.setdefault((lot.owner, lot.kind), [0, 0, 0])
            for at, name in enumerate(("available", "reserved", "used")):
                total[at] += getattr(lot, name)
        with unit_of_work(self.session):
            held = self.session.execute(select(balances).where(balances.c.client_id.in_(self.clients))).all()
        told = {(row.client_id, row.event_type_id): [row.available, row.reserved, row.used] for row in held}
        assert {key: told.get(key) for key in sums} == sums
        assert not any(any(value) for key, value in told.items() if key not in sums)

    def teardown(self) -> None:
        if hasattr(self, "model"):
            for key in sorted(self.batches, reverse=True):
                if not self.batches[key].undone:
                    self.take_batch_back(key)
            self.sweep()
            self.the_database_says_what_the_model_says()
            with clock.frozen(START + dt.timedelta(days=self.model.day)):
                assert self.studio.findings() == []


def test_any_order_of_verbs_does_what_the_model_says(session):
    machine = type("LedgerHere", (Ledger,), {"session": session})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
