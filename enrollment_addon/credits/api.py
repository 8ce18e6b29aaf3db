"""REST of credits: grant, void, lots and entries, batches and their undo."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import current_app, g, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from ..core import money
from ..core.audit import user_names
from ..core.batches import Batch
from ..core.errors import InvalidInput
from ..core.web import filters
from ..core.web.access import MENU
from ..core.web.api import Api, RecordApi, idempotency_key, key_of, operation
from ..core.web.records import LIST_QUERY, readable
from ..core.web.views import RecordView
from . import queries, service
from .labels import BATCH_KINDS
from .models import CreditEntry, CreditLot
from .schemas import BatchSchema, ClientCreditsSchema, EntrySchema, ExpiringSchema, LedgerSchema, LotSchema
from .verb_schemas import (
    BatchJobAnswer,
    ConvertAnswer,
    ConvertInput,
    ConvertManyAnswer,
    ConvertManyInput,
    ExtendAnswer,
    ExtendInput,
    GrantAnswer,
    GrantInput,
    GrantPreviewAnswer,
    LotTransferAnswer,
    LotTransferInput,
    TransferAnswer,
    TransferInput,
    UndoAnswer,
    UndoInput,
    UndoJobAnswer,
    VoidAnswer,
    VoidInput,
)
from .views import BatchView, EntryView, ExpiringView, LotView
from .views.expiring import WINDOWS

PLANNED = ("event_type_id", "quantity", "expires_on", "expires_in", "unit_value")
"""What of a grant decides whom it serves and until when; the rest is checked by the grant itself."""
LONGEST_SEARCH = 100
"""As much of a search as lists look at."""


def chosen_by(data: dict[str, Any], name: str, list_view: str) -> list[int] | Select[Any]:
    """What a verb on many is for: the keys in the field `name`, or a query made of the filters of a list.

    Raises: InvalidInput unless exactly one of the two is given, or for a filter that does not exist.
    """
    keys, wanted = data.pop(name, None), data.pop("filter", None)
    if (keys is None) == (wanted is None):
        raise InvalidInput(fields={name: _l("Give either %(name)s or filter.", name=name)})
    if wanted is None:
        return list(keys or ())
    view: RecordView = current_app.extensions["enrollment"].views[list_view]
    entries, search = _filters_of(wanted)
    applied = filters.from_rest(view.filters_by_name, entries)
    return view.matching(applied, search).with_only_columns(view.model.id).order_by(None)


def _filters_of(wanted: Any) -> tuple[list[Mapping[str, Any]], str]:
    """The filters and the search text in a `filter`, whichever of its three shapes it has.

    Nothing in it is passed over: that would select more clients than were meant. Raises: InvalidInput.
    """
    search: Any = ""
    if isinstance(wanted, Mapping):
        search = wanted.get("search", "")
        plain = set(wanted) - {"search"} != {"filters"}
        wanted = [{"col": k, "value": v} for k, v in wanted.items() if k != "search"] if plain else wanted["filters"]
    if not isinstance(wanted, list) or not all(isinstance(entry, Mapping) for entry in wanted):
        raise InvalidInput(fields={"filter": _l("The filter is a list of col, opr and value.")})
    if not isinstance(search, str) or len(search) > LONGEST_SEARCH:
        raise InvalidInput(fields={"filter": _l("The search is a text of at most 100 characters.")})
    return wanted, search.strip()


class CreditsApi(Api):
    """The verbs on credits."""

    resource = "credits"
    class_permission_name = "EnrollmentCredits"
    openapi_spec_tag = "Session credits"

    @operation("/grant", "POST", summary="Add session credits to clients; with preview only say whom it would serve",
               permission="add_session_credits", menu=MENU, body=GrantInput,
               answers={200: GrantPreviewAnswer, 201: GrantAnswer, 202: BatchJobAnswer}, refusals=(404, 409),
               idempotent=True)
    def grant(self, data: dict[str, Any]) -> Any:
        settings = current_app.extensions["enrollment"].settings
        clients = chosen_by(data, "client_ids", "ClientView")
        if data.pop("preview"):
            asked = {name: value for name, value in data.items() if name in PLANNED}
            plan = service.plan_grant(self.session, clients=clients, actor=self.actor, **asked)
            return self.result(GrantPreviewAnswer().dump(plan))
        made = self.work(
            lambda: service.grant_credits(
                self.session, clients=clients, actor=self.actor, idempotency_key=idempotency_key(),
                threshold=settings.job_threshold, chunk=settings.grant_chunk, **data,
            )
        )
        if made["job_id"] is not None:
            return self.result({"batch_id": made["batch_id"], "job_id": made["job_id"]}, 202)
        return self.result({k: made[k] for k in ("batch_id", "granted", "skipped", "skipped_count")}, 201)

    @operation("/void", "POST", summary="Take back the unspent rest of lots, now or as a background job",
               permission="void_session_credits", menu=MENU, body=VoidInput,
               answers={200: VoidAnswer, 202: BatchJobAnswer}, refusals=(404, 409), idempotent=True)
    def void(self, data: dict[str, Any]) -> Any:
        return self._many(service.void_lots, data, ("batch_id", "voided", "skipped", "skipped_count"))

    @operation("/extend", "POST", summary="Give lots a new last day, now or as a background job",
               permission="extend_credit_expiry", menu=MENU, body=ExtendInput,
               answers={200: ExtendAnswer, 202: BatchJobAnswer}, refusals=(404, 409), idempotent=True)
    def extend(self, data: dict[str, Any]) -> Any:
        if len({"expires_on", "extend_by"} & set(data)) != 1:
            raise InvalidInput(fields={"expires_on": _l("Give either expires_on or extend_by.")})
        if data.pop("preview"):
            data.pop("reason", None)
            lots = _lots_of(data)
            plan = service.plan_extension(self.session, lot_ids=lots, actor=self.actor, **data)
            would = {"batch_id": None, "extended": plan.lots, "shortened": plan.shortened}
            return self.result({**would, "skipped": [], "skipped_count": plan.missing})
        told = ("batch_id", "extended", "shortened", "skipped", "skipped_count")
        return self._many(service.extend_lots, {"reason": "", **data}, told)

    @operation("/transfer", "POST", summary="Give unspent credits of one client to another",
               permission="transfer_session_credits", menu=MENU, body=TransferInput, answers={200: TransferAnswer},
               refusals=(404, 409), idempotent=True)
    def transfer(self, data: dict[str, Any]) -> Any:
        return self._one(service.transfer_credits, data)

    @operation("/convert", "POST", summary="Make credits of another event type of unspent ones, at a ratio",
               permission="convert_session_credits", menu=MENU, body=ConvertInput, answers={200: ConvertAnswer},
               refusals=(404, 409), idempotent=True)
    def convert(self, data: dict[str, Any]) -> Any:
        return self._one(service.convert_credits, data)

    @operation("/transfer_lots", "POST", summary="Give what is left in lots to one client, now or as a background job",
               permission="transfer_session_credits", menu=MENU, body=LotTransferInput,
               answers={200: LotTransferAnswer, 202: BatchJobAnswer}, refusals=(404, 409), idempotent=True)
    def transfer_lots(self, data: dict[str, Any]) -> Any:
        if data.pop("preview"):
            data.pop("reason", None)
            lots = _lots_of(data)
            plan = service.plan_transfer(self.session, lot_ids=lots, actor=self.actor, **data)
            would = {"transferred": plan.credits, "lots": plan.lots, "left_out": plan.left_out}
            return self.result({"batch_id": None, **would, "skipped": [], "skipped_count": plan.missing})
        told = ("batch_id", "transferred", "lots", "left_out", "skipped", "skipped_count")
        return self._many(service.transfer_lots, {"reason": "", **data}, told)

    @operation("/convert_many", "POST", summary="Convert what clients have to another event type, now or as a job",
               permission="convert_session_credits", menu=MENU, body=ConvertManyInput,
               answers={200: ConvertManyAnswer, 202: BatchJobAnswer}, refusals=(404, 409), idempotent=True)
    def convert_many(self, data: dict[str, Any]) -> Any:
        settings = current_app.extensions["enrollment"].settings
        clients = chosen_by(data, "client_ids", "ClientView")
        told = ("clients", "converted", "received", "skipped")
        if data.pop("preview"):
            data.pop("reason", None)
            plan = service.plan_conversion(self.session, clients=clients, actor=self.actor, **data)
            left_out = {"left_out": plan.by_reason, "skipped_count": sum(plan.by_reason.values())}
            return self.result({"batch_id": None, **{name: getattr(plan, name) for name in told}, **left_out})
        made = self.work(
            lambda: service.convert_for_clients(
                self.session, clients=clients, actor=self.actor, idempotency_key=idempotency_key(),
                threshold=settings.job_threshold, chunk=settings.sweep_chunk, **{"reason": "", **data},
            )
        )
        if made["job_id"] is not None:
            return self.result({"batch_id": made["batch_id"], "job_id": made["job_id"]}, 202)
        return self.result({name: made[name] for name in ("batch_id", *told, "left_out", "skipped_count")})

    def _one(self, verb: Callable[..., dict[str, Any]], data: dict[str, Any]) -> Any:
        """Do a verb on one client."""
        return self.result(
            self.work(lambda: verb(self.session, actor=self.actor, idempotency_key=idempotency_key(), **data))
        )

    def _many(self, verb: Callable[..., dict[str, Any]], data: dict[str, Any], told: Sequence[str]) -> Any:
        """Do a verb on many lots; the answer says what was done or names the job that does it."""
        settings = current_app.extensions["enrollment"].settings
        lots = _lots_of(data)
        sizes = {"threshold": settings.job_threshold, "chunk": settings.sweep_chunk}
        made = self.work(
            lambda: verb(
                self.session, lot_ids=lots, actor=self.actor, idempotency_key=idempotency_key(), **sizes, **data
            )
        )
        if made["job_id"] is not None:
            return self.result({"batch_id": made["batch_id"], "job_id": made["job_id"]}, 202)
        return self.result({name: made[name] for name in told})

    @operation("/lots/<pk>/entries", summary="The ledger of one lot in order, also as of a past day",
               permission="read", answers={200: EntrySchema}, many=True, refusals=(422,),
               query=(("as_of", "string", "A day, ISO 8601"),))
    def entries(self, pk: str) -> Any:
        rows = queries.lot_entries(self.session, key_of(pk), _day("as_of"))
        return self.answer(200, {"count": len(rows), "result": EntrySchema(many=True).dump(rows)})


def _lots_of(data: dict[str, Any]) -> list[int] | Select[Any]:
    return chosen_by(data, "lot_ids", "LotView")


class LotApi(readable(LotSchema)):  # type: ignore[misc]
    """Lots, read only."""

    resource = "lots"
    model = CreditLot
    class_permission_name = "EnrollmentCredits"
    openapi_spec_tag = "Session credits"
    filters = LotView.filters
    load = (selectinload(CreditLot.participants),)
    orders = {"expires_on": (CreditLot.expires_on,), "available": (CreditLot.available,)}


class LedgerApi(RecordApi):
    """The ledger: every change of every lot, read only; one lot's with running sums is at the lot."""

    resource = "credits/ledger"
    model = CreditEntry
    schema = LedgerSchema
    class_permission_name = "EnrollmentCredits"
    openapi_spec_tag = "Session credits"
    filters = EntryView.filters

    def prepare(self, items: Sequence[CreditEntry]) -> None:
        g.enrollment_doers = user_names(self.session, {entry.actor_id for entry in items})

    def dump(self, item: CreditEntry) -> Any:
        columns = {column.key: getattr(item, column.key) for column in CreditEntry.__table__.columns}
        return self.schema().dump({**columns, "who": g.enrollment_doers.get(item.actor_id)})

    @operation("/", summary="The entries of all lots in order", permission="read", answers={200: LedgerSchema},
               many=True, query=LIST_QUERY)
    def get_list(self) -> Any:
        return self.listing()


class ExpiringApi(RecordApi):
    """What expires soon, the earliest first, with the value forfeited."""

    resource = "credits/expiring"
    model = CreditLot
    schema = ExpiringSchema
    class_permission_name = "EnrollmentCredits"
    openapi_spec_tag = "Session credits"
    filters = tuple(entry for entry in ExpiringView.filters if entry.name != "within")
    orders = {"expires_on": (CreditLot.expires_on,), "available": (CreditLot.available,)}

    def base_query(self) -> Select[Any]:
        return select(CreditLot).where(queries.expiring_within(self.session, _within()))

    def _ordered(self, statement: Select[Any], asked: Mapping[str, Any]) -> Select[Any]:
        return super()._ordered(statement, {"order_column": "expires_on", **asked})

    @operation("/", summary="Lots that expire soon; `forfeited` beside the list: what is lost in all, by currency",
               permission="read", answers={200: ExpiringSchema}, many=True,
               query=(*LIST_QUERY, ("within", "integer", "So many days: 30 (unless told), 60 or 90")))
    def get_list(self) -> Any:
        sums = [
            {"currency": row.currency, "credits": row.credits, "value": str(money.to_decimal(row.value, row.currency))}
            for row in queries.forfeited(self.session, _within())
        ]
        return self.answer(200, {**(self.listing().get_json() or {}), "forfeited": sums})


def _within() -> int:
    """The days of the query string. Raises: InvalidInput."""
    text = request.args.get("within", WINDOWS[0][0])
    if text not in dict(WINDOWS):
        raise InvalidInput(fields={"within": _l("Please choose 30, 60 or 90 days.")})
    return int(text)


class ClientCreditsApi(Api):
    """The credits of one client."""

    resource = "clients"
    class_permission_name = "EnrollmentCredits"
    openapi_spec_tag = "Session credits"

    @operation("/<pk>/credits", summary="Balances and lots of a client, also as of a past day", permission="read",
               answers={200: ClientCreditsSchema}, refusals=(422,), query=(("as_of", "string", "A day, ISO 8601"),))
    def credits(self, pk: str) -> Any:
        client_id, day = key_of(pk), _day("as_of")
        found = queries.client_credits(self.session, client_id, day)
        shared = queries.shared_with(self.session, client_id) if day is None else []
        told = {"balances": found.balances, "lots": found.lots, "shared": shared}
        return self.result(ClientCreditsSchema().dump(told))


def _day(name: str) -> dt.date | None:
    """A day of the query string. Raises: InvalidInput."""
    text = request.args.get(name)
    try:
        return dt.date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise InvalidInput(fields={name: _l("This must be a date.")}) from None


class BatchApi(readable(BatchSchema)):  # type: ignore[misc]
    """Batches, and their undo."""

    resource = "batches"
    model = Batch
    class_permission_name = "EnrollmentBatch"
    openapi_spec_tag = "Batches"
    filters = BatchView.filters
    orders = {"created_at": (Batch.id,)}

    def base_query(self) -> Select[Any]:
        """The batches of credits; those of other domains have endpoints of their own."""
        return select(Batch).where(Batch.kind.in_(BATCH_KINDS))

    @operation("/<pk>/undo", "POST", summary="Take back what nobody has spent; with preview only say so",
               permission="undo_batch", menu=MENU, body=UndoInput, answers={200: UndoAnswer, 202: UndoJobAnswer},
               refusals=(404, 409), idempotent=True)
    def undo(self, pk: str, data: dict[str, Any]) -> Any:
        settings = current_app.extensions["enrollment"].settings
        key = key_of(pk)
        if data["preview"]:
            plan = service.undo_plan(self.session, batch_id=key, actor=self.actor)
            return self.result(UndoAnswer().dump(plan))
        made = self.work(
            lambda: service.undo_batch(
                self.session, batch_id=key, reason=data.get("reason", ""), actor=self.actor,
                idempotency_key=idempotency_key(), threshold=settings.job_threshold, chunk=settings.grant_chunk,
            )
        )
        if made["job_id"] is not None:
            return self.result(made, 202)
        return self.result({k: made[k] for k in ("taken_back", "kept_spent", "clients")})
