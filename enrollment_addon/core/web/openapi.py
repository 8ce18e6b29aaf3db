"""The OpenAPI description of the add-on's REST interface, made from the endpoints' own declarations."""

import re
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import current_app, request

from ... import __version__
from .api import Api, ErrorAnswer, Operation

_REFUSALS = {
    400: "Not signed by whom it says it is from", 401: "Not logged in", 403: "Without the permission",
    404: "Unknown or out of reach", 409: "Not possible in the present state", 422: "Invalid input",
    503: "Busy; try again",
}
_INTRODUCTION = """Clients, session credits, batches and jobs.

Log in with `POST /api/v1/security/login` and send the token as `Authorization: Bearer …`, or use the session
cookie of a browser and send its CSRF token as `X-CSRFToken` with everything that writes. `?_l_=de` chooses the
language of messages and names. Instants carry an offset, money is a decimal string beside its `currency`.
"""


def _name(schema: Any) -> str:
    kind = resolve_schema_cls(schema)
    name = kind.__name__ if not isinstance(kind, list) else kind[0].__name__
    return f"Enrollment{name.removesuffix('Schema')}"


def new_spec() -> APISpec:
    return APISpec(
        title="Enrollment and session credits", version=__version__, openapi_version="3.0.3",
        info={"description": _INTRODUCTION},
        servers=[{"url": request.host_url.rstrip("/")}],
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
        security=[{"jwt": []}, {"session": []}],
    )


def describe(api: Api, endpoint: Any, path: str, method: str) -> dict[str, Any]:
    """The operation object of one endpoint."""
    spec: Operation = endpoint.enrollment_operation
    refusals = {401, 403, 503, *spec.refusals} if not spec.open else set(spec.refusals)
    if spec.body is not None or spec.upload is not None or spec.idempotent:
        refusals |= {422}
    keys = re.findall(r"{(\w+)}", path)
    if keys:
        refusals |= {404}
    if method == "get" and (spec.many or spec.query):
        refusals |= {422}
    described: dict[str, Any] = {
        "operationId": f"{api.endpoint}_{endpoint.__name__}",
        "summary": spec.summary,
        "description": f"Permission: {spec.permission.replace('_', ' ')}." if not spec.open else "No log-in.",
        "parameters": [
            *({"in": "path", "name": k, "required": True, "schema": {"type": "integer", "minimum": 1}} for k in keys),
            *({"in": "query", "name": n, "description": d, "schema": {"type": t}} for n, t, d in spec.query),
        ],
        "responses": {
            **{str(status): _answer(spec, schema) for status, schema in spec.answers.items()},
            **{str(s): _refusal(s) for s in sorted(refusals)},
        },
    }
    if spec.idempotent:
        described["parameters"].append(
            {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "maxLength": 150},
             "description": "The same key with the same input returns the first result."}
        )
    if spec.body is not None:
        content = {"schema": spec.body, "example": spec.body.example}  # type: ignore[attr-defined]
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    if spec.upload is not None:
        form = {"type": "object", "required": [spec.upload],
                "properties": {spec.upload: {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if spec.media is not None:
        file = {spec.media: {"schema": {"type": "string"}}}
        described["responses"]["200"] = {"description": "The file", "content": file}
    if spec.open:
        described["security"] = []
    return described


def _answer(spec: Operation, schema: Any) -> dict[str, Any]:
    if schema is None:
        return {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}}
    if spec.many:
        body: Any = {
            "type": "object", "required": ["count", "result"],
            "properties": {
                "count": {"type": "integer", "description": "How many there are in all"},
                "count_capped": {
                    "type": "boolean",
                    "description": "Present and true when there are more than `count`: lists are counted up to the "
                    "setting ENROLLMENT_COUNT_CAP. To meet all of them, walk with `after`.",
                },
                "ids": {"type": "array", "items": {"type": "integer"}},
                "result": {"type": "array", "items": schema},
            },
        }
    else:
        body = {
            "type": "object", "required": ["result"],
            "properties": {"id": {"type": "integer"}, "result": schema},
        }
    example = {"count": 1, "result": [schema.example]} if spec.many else {"result": schema.example}
    return {"description": "Done", "content": {"application/json": {"schema": body, "example": example}}}


def _refusal(status: int) -> dict[str, Any]:
    return {"description": _REFUSALS[status], "content": {"application/json": {"schema": ErrorAnswer}}}


def document(apis: list[Api]) -> dict[str, Any]:
    """The whole description, for the APIs registered in this application."""
    spec = new_spec()
    spec.components.security_scheme("jwt", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    cookie = current_app.config["SESSION_COOKIE_NAME"]
    spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": cookie})
    for api in apis:
        api.add_api_spec(spec)
    return spec.to_dict()
