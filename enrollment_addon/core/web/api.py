"""Base of all REST endpoints: who calls, what they may do, what they sent, and one shape for every refusal.

An endpoint is a method with `@operation(…)`, which is checked at run time and described in OpenAPI from the same
declaration, so the description can't drift from the behaviour.
"""

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flask import Response, current_app, jsonify, request
from flask_appbuilder.api import BaseApi, expose
from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from ..db import PASSING_ERRORS, idempotent, is_passing, unit_of_work
from ..errors import AddonError, Busy, InvalidInput, NotFound
from ..fields import LARGEST_KEY
from ..log import logger
from ..scope import Actor
from . import access, filters, lists
from .filters import Applied, Filter
from .inputs import list_query, load, whole_number
from .request_ids import give_ids
from .routes import Routed

log = logger()
BASE = "enrollment"
LARGEST_PAGE = 100


class ErrorBody(Schema):
    code = fields.String(required=True)
    message = fields.String(required=True)
    params = fields.Dict(required=True)


class ErrorAnswer(Schema):
    error = fields.Nested(ErrorBody, required=True)


@dataclass(frozen=True)
class Operation:
    """What an endpoint takes and gives; `answers` maps a status to a schema, a list of which `many` makes.

    `query` names the parameters with their JSON type and meaning; `open` needs no log-in. `upload` is the field of
    a form that carries a file, in place of a JSON body; `media` the kind of an answer that is a file.
    """

    summary: str
    permission: str
    menu: str | None = None
    body: type[Schema] | None = None
    answers: Mapping[int, type[Schema] | None] = field(default_factory=dict)
    many: bool = False
    refusals: Sequence[int] = ()
    query: Sequence[tuple[str, str, str]] = ()
    idempotent: bool = False
    open: bool = False
    upload: str | None = None
    media: str | None = None


def operation(url: str, method: str = "GET", **spec: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: expose an endpoint with its checks. The method gets the loaded body as keyword `data`."""
    described = Operation(**spec)

    def decorate(do: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(do)
        def endpoint(self: "Api", *args: Any, **kwargs: Any) -> Any:
            if not described.open:
                access.authenticate_api()
                access.authorize(described.permission, described.menu or self.class_permission_name)
            if described.body is not None:
                kwargs["data"] = load(described.body)
            return do(self, *args, **kwargs)

        endpoint.enrollment_operation = described  # type: ignore[attr-defined]
        return expose(url.rstrip("/"), methods=(method,))(endpoint)  # type: ignore[no-any-return]

    return decorate


def idempotency_key() -> str | None:
    """The caller's key, bound to the caller: another person's same key is another key."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        return None
    if len(key) > 150 or not key.isprintable():
        raise InvalidInput(_l("The Idempotency-Key may have up to 150 printable characters."))
    return f"u{access.current_actor().user_id}:{key}"


def key_of(pk: str) -> int:
    """A key from a path. Raises: NotFound for anything that can't be one."""
    if not (pk.isascii() and pk.isdecimal()) or len(pk) > 18:
        raise NotFound
    return int(pk)


class Api(Routed, BaseApi):  # type: ignore[misc]
    """Base of the add-on's REST classes: `resource` is the path below /api/v1/enrollment."""

    resource: ClassVar[str]
    version = "v1"
    allow_browser_login = True
    responses: ClassVar[Mapping[str, Any]] = {}
    """The framework's refusals, which have another shape, are kept out of our description."""

    def __init__(self) -> None:
        self.resource_name = f"{BASE}/{self.resource}" if self.resource else BASE
        permissions = access.permissions_on(self.class_permission_name)
        self.base_permissions = [access.PERMISSION_PREFIX + p for p in permissions]
        super().__init__()

    def create_blueprint(self, *args: Any, **kwargs: Any) -> Any:
        blueprint = super().create_blueprint(*args, **kwargs)
        give_ids(blueprint)
        blueprint.register_error_handler(AddonError, self.refuse)
        blueprint.register_error_handler(DataError, lambda _error: self.refuse(InvalidInput()))
        blueprint.register_error_handler(HTTPException, self.refuse_http)
        for kind in PASSING_ERRORS:
            blueprint.register_error_handler(kind, self.refuse_passing)
        return blueprint

    def _register_urls(self) -> None:
        """Lists answer with and without a slash at the end; the description names one of the two."""
        for name in dir(self):
            endpoint = getattr(self, name)
            for url, methods in getattr(endpoint, "_urls", ()):
                self.blueprint.add_url_rule(url, name, endpoint, methods=methods, strict_slashes=bool(url))

    @property
    def session(self) -> Session:
        return access.current_session()

    @property
    def actor(self) -> Actor:
        return access.current_actor()

    def refuse(self, error: AddonError) -> Response:
        """Every refusal as JSON with a stable code; a form's field messages are in `params.fields`."""
        self.session.rollback()
        log.info("refused", code=error.error_code, path=request.path)
        return self.answer(error.http_status, {"error": self.told(error)})

    @staticmethod
    def told(error: AddonError) -> dict[str, Any]:
        """A refusal as JSON, also one that is only told of."""
        params: dict[str, Any] = {k: _plain(v) for k, v in error.params.items()}
        if error.fields:
            params["fields"] = {name: str(message) for name, message in error.fields.items()}
        return {"code": error.error_code, "message": error.text(), "params": params}

    def refuse_passing(self, error: Exception) -> Response:
        """A read that the database could not answer just now; any other failure of it stays one."""
        if not is_passing(error):
            raise error
        return self.refuse(Busy())

    def refuse_http(self, error: HTTPException) -> Any:
        """What the server itself refuses, such as a body that is too large; answers of the host pass unchanged."""
        if error.code is None or error.response is not None:
            return error
        texts = {413: _l("This is too much to send at once."), 500: AddonError.message}
        message = texts.get(error.code, _l("The server could not use this request."))
        code = error.name.lower().replace(" ", "_")
        return self.answer(error.code, {"error": {"code": code, "message": str(message), "params": {}}})

    @staticmethod
    def answer(status: int, body: Mapping[str, Any]) -> Response:
        response = jsonify(body)
        response.status_code = status
        return response

    def result(self, value: Any, status: int = 200, **more: Any) -> Response:
        return self.answer(status, {**more, "result": value})

    def work(self, do: Callable[[], Any]) -> Any:
        """Run a verb in one unit of work."""
        with unit_of_work(self.session):
            return do()

    def once(self, do: Callable[[], Any]) -> Any:
        """Run a verb in one unit of work, for one Idempotency-Key only once.

        Gives the key of the record that the verb gave, or what else it gave. For verbs that take no key themselves,
        since doing them twice is refused or changes nothing. Raises: IdempotencyMismatch when the key came with
        another request.
        """
        asked = {"path": request.path.rstrip("/"), "body": request.get_json(silent=True)}

        def kept() -> dict[str, Any]:
            given = do()
            return {"given": getattr(given, "id", given)}

        return self.work(
            lambda: idempotent(self.session, key=idempotency_key(), verb=request.method, asked=asked, do=kept)
        )["given"]

    # ---- OpenAPI ---------------------------------------------------------------------------------------

    def operation_helper(  # type: ignore[override]
        self, path: str | None = None, operations: Any = None, methods: Any = None, func: Any = None, **_kw: Any
    ) -> None:
        from .openapi import describe

        for method in methods:
            operations[method.lower()] = describe(self, func, path or "", method.lower())


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool, type(None), list, dict)):
        return value
    return value.isoformat() if isinstance(value, (dt.date, dt.datetime)) else str(value)


class RecordApi(Api):
    """Lists, reads and writes one kind of record; writes go through the domain's service.

    `schema` dumps a record, `create_schema` and `update_schema` load what a caller sends.
    """

    model: ClassVar[Any]
    schema: ClassVar[type[Schema]]
    filters: Sequence[Filter] = ()
    orders: ClassVar[Mapping[str, Any]] = {}
    load: ClassVar[Sequence[Any]] = ()

    def base_query(self) -> Select[Any]:
        return select(self.model)

    def search_clause(self, text: str) -> ColumnElement[bool] | None:
        return None

    def unless_asked(self, statement: Select[Any], applied: Sequence[Applied]) -> Select[Any]:
        """The list without the rows that are there only when a filter asks for them."""
        return statement

    def prepare(self, items: Sequence[Any]) -> None:
        """Load what the answer needs for many items at once."""

    def dump(self, item: Any) -> Any:
        return self.schema().dump(item)

    def find(self, pk: str) -> Any:
        key = lists.primary_key(self.model)
        found = self.session.scalars(
            self.base_query().where(key == key_of(pk)).options(*self.load).execution_options(populate_existing=True)
        ).unique().one_or_none()
        if found is None:
            raise NotFound
        return found

    def listing(self) -> Response:
        """A page of records: by number (`q.page`) or behind a key (`after`), which stays fast however far."""
        asked = list_query()
        by_name = {f.name: f for f in access.readable(self.filters)}
        applied = filters.from_rest(by_name, asked.get("filters", []))
        statement = self.unless_asked(self.base_query(), applied)
        for entry in applied:
            statement = statement.where(entry.clause())
        if (search := lists.search_of(request.args)) and (clause := self.search_clause(search)) is not None:
            statement = statement.where(clause)
        size = _number("page_size", asked, 25, 1, LARGEST_PAGE)
        number = _number("page", asked, 0, 0, lists.LARGEST_OFFSET // size)
        after = _number("after", {}, 0, 0, LARGEST_KEY)
        columns = self._known_columns(asked.get("columns", ()))
        key = lists.primary_key(self.model)
        count, more = lists.capped_count(self.session, statement, self.model, self.count_cap)
        if "after" in request.args:
            page = statement.where(key > after).order_by(key)
        else:
            page = self._ordered(statement, asked).offset(number * size)
        items = self.session.scalars(page.options(*self.load).limit(size)).unique().all()
        self.prepare(items)
        rows = [self.dump(i) for i in items]
        if columns:
            rows = [{name: row[name] for name in columns} for row in rows]
        capped = {"count_capped": True} if more else {}
        return self.answer(200, {"count": count, **capped, "ids": [i.id for i in items], "result": rows})

    def _known_columns(self, wanted: Sequence[str]) -> Sequence[str]:
        """The fields that `q.columns` asks for. Raises: InvalidInput for one there isn't."""
        known = self.schema().fields
        for name in wanted:
            if name not in known:
                raise InvalidInput(fields={"columns": _l("There is no field “%(name)s”.", name=name[:60])})
        return wanted

    @property
    def count_cap(self) -> int:
        return int(current_app.extensions["enrollment"].settings.count_cap)

    def _ordered(self, statement: Select[Any], asked: Mapping[str, Any]) -> Select[Any]:
        name = asked.get("order_column")
        if not name:
            return statement.order_by(lists.primary_key(self.model))
        columns = {"id": (lists.primary_key(self.model),), **self.orders}.get(name)
        if columns is None:
            raise InvalidInput(_l("Lists cannot be ordered by “%(column)s”."), column=name[:60])
        return lists.ordered(statement, self.model, columns, descending=asked.get("order_direction") == "desc")


def _number(name: str, asked: Mapping[str, Any], default: int, low: int, high: int) -> int:
    """A number of the URL, else of `q`, kept within bounds. Raises: InvalidInput for junk."""
    return whole_number(name, request.args.get(name, asked.get(name)), default, low, high)


def new_key() -> str:
    """A fresh idempotency key for a form."""
    return uuid.uuid4().hex
