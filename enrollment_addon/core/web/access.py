"""Who the request acts for, and what they may do. Access is Flask-AppBuilder's own: permissions held by roles.

Business verbs are permissions on one menu, `Enrollment`, named as staff would say them
("can add session credits on Enrollment"); records have can_read, can_add, can_edit, can_delete on a menu each.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import current_app, flash, g, has_request_context, redirect, request, url_for
from flask_appbuilder.const import PERMISSION_PREFIX
from flask_appbuilder.security.sqla.models import Permission, PermissionView, ViewMenu, assoc_permissionview_role
from flask_babel import lazy_gettext as _l
from flask_jwt_extended import verify_jwt_in_request
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import ValidationError

from ..db import PASSING_ERRORS
from ..errors import AddonError, Forbidden
from ..scope import NOBODY, SYSTEM, Actor, Reach, actor_of

MENU = "Enrollment"
"""The view menu that carries the business verbs."""
SEE_ALL = "see_all_clients"
"""Permission of people without a team member record to reach every client."""

ActorResolver = Callable[[Session, int], Actor | None]
_resolvers: list[ActorResolver] = []


class Unauthorized(AddonError):
    code = "unauthorized"
    http_status = 401
    message = _l("Please log in.")


class CsrfFailed(AddonError):
    code = "csrf_failed"
    http_status = 403
    message = _l("This page has expired. Please reload it and try again; nothing was saved.")


def use_actor_resolver(resolver: ActorResolver) -> None:
    """Let a domain say how far a user reaches; the first resolver that knows the user decides."""
    if resolver not in _resolvers:
        _resolvers.append(resolver)


def permissions_on(menu: str | None) -> Sequence[str]:
    """The permissions that exist on a view menu of the add-on, as the manifest says."""
    known: Sequence[str] = current_app.extensions["enrollment"].permissions.get(menu, ())
    return known


def current_session() -> Session:
    """The host's session of this request, job or command."""
    session: Session = current_app.appbuilder.session  # type: ignore[attr-defined]
    return session


@contextmanager
def _reading_accounts() -> Iterator[None]:
    """While accounts and permissions themselves are read nobody's reach is asked for: that would read them again."""
    outer = g.get("enrollment_resolving", False)
    g.enrollment_resolving = True
    try:
        yield
    finally:
        g.enrollment_resolving = outer


def _current_user() -> Any:
    user = getattr(g, "user", None)
    with _reading_accounts():
        return user if user is not None and getattr(user, "is_authenticated", False) and user.is_active else None


def actor_for_user(session: Session, user: Any) -> Actor:
    """How far a user of the host reaches: their team member record, `SEE_ALL`, or the client they are.

    Being a client takes nothing from somebody who works here: nobody is locked out by being linked to one.
    """
    known = next((actor for resolver in _resolvers if (actor := resolver(session, user.id)) is not None), None)
    if known is not None and known.reach is not Reach.portal:
        return known
    if (PERMISSION_PREFIX + SEE_ALL, MENU) in permissions_of(user):
        return Actor(user_id=user.id, reach=Reach.everything)
    return known or Actor(user_id=user.id)


def current_actor() -> Actor:
    """Whom this request acts for; outside of a request the system itself (commands, scripts of the host).

    While the answer is being found the framework's own security tables are read, hence the guard.
    """
    if not has_request_context() or g.get("enrollment_resolving"):
        return SYSTEM
    with _reading_accounts():
        user = _current_user()
        if user is None:
            return NOBODY
        known: dict[int, Actor] = g.setdefault("enrollment_actors", {})
        if user.id not in known:
            known[user.id] = actor_for_user(current_session(), user)
        return known[user.id]


def acting_user_id() -> int | None:
    """The key of the person that the session works for: who asks, or whoever started the job."""
    return actor_of(current_session()).user_id


def permissions_of(user: Any) -> frozenset[tuple[str, str]]:
    """All (permission, menu) pairs a user holds through roles and groups; read once for the request."""
    held: dict[int, frozenset[tuple[str, str]]] = g.setdefault("enrollment_permissions", {})
    if user.id not in held:
        with _reading_accounts():
            held[user.id] = frozenset(_read_permissions(user))
    return held[user.id]


def _read_permissions(user: Any) -> Iterator[tuple[str, str]]:
    """Names only: the framework makes three objects for each permission, in every request, to say the same."""
    sm = current_app.appbuilder.sm  # type: ignore[attr-defined]
    roles, builtin = sm.get_user_roles(user), sm.builtin_roles
    held, pairs = assoc_permissionview_role, PermissionView.__table__
    read = (
        select(Permission.__table__.c.name, ViewMenu.__table__.c.name)
        .join_from(held, pairs, pairs.c.id == held.c.permission_view_id)
        .join(Permission.__table__)
        .join(ViewMenu.__table__)
        .where(held.c.role_id.in_([role.id for role in roles if role.name not in builtin]))
    )
    yield from (tuple(row) for row in current_session().execute(read))
    yield from ((permission, menu) for role in roles for menu, permission in builtin.get(role.name, ()))


def may(permission: str, menu: str) -> bool:
    """Whether the current person holds a permission; for what a page shows. Ways in are checked by `authorize`."""
    return _holds(PERMISSION_PREFIX + permission, menu)


def may_enter(menu: str) -> bool:
    """Whether the current person is shown an entry of the menu; the framework itself asks once per entry."""
    return _holds("menu_access", menu)


def _holds(permission: str, menu: str) -> bool:
    user = _current_user()
    if user is None:
        return False
    builtin = current_app.appbuilder.sm.builtin_roles  # type: ignore[attr-defined]
    if builtin:
        return bool(current_app.appbuilder.sm.has_access(permission, menu))  # type: ignore[attr-defined]
    return (permission, menu) in permissions_of(user)


def can(verb: str) -> bool:
    """Whether the current person may use a business verb."""
    return may(verb, MENU)


class _Told(Protocol):
    """What tells something of records: a column, a filter."""

    @property
    def menu(self) -> str | None: ...


Telling = TypeVar("Telling", bound=_Told)


def readable(items: Iterable[Telling]) -> list[Telling]:
    """Those of them that tell nothing but what the current person may read."""
    return [item for item in items if item.menu is None or may("read", item.menu)]


@contextmanager
def on_behalf_of(user_id: int | None) -> Iterator[None]:
    """Outside of a request: ask for this user's permissions meanwhile, as in the job that they started."""
    with _reading_accounts():
        user = None if user_id is None else current_app.appbuilder.sm.get_user_by_id(user_id)  # type: ignore[attr-defined]
    before, g.user = g.get("user"), user
    try:
        yield
    finally:
        g.user = before


def authorize(permission: str, menu: str = MENU) -> None:
    """Raises: Unauthorized for nobody, Forbidden for a person without the permission."""
    if _current_user() is None:
        raise Unauthorized
    if not may(permission, menu):
        raise Forbidden


def check_csrf() -> None:
    """Refuse an unsafe request by cookie that carries no valid token, also where the host switched nothing on."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    token = request.headers.get("X-CSRFToken") or request.form.get("csrf_token")
    try:
        validate_csrf(token)
    except ValidationError:
        raise CsrfFailed from None


def authenticate_api() -> None:
    """Find the caller of a REST request: a bearer token (JWT or API key) if one is sent, else the session cookie.

    A cookie needs the CSRF token with everything that writes; a bearer token can't be sent by another site.
    Raises: Unauthorized, CsrfFailed.
    """
    sm = current_app.appbuilder.sm  # type: ignore[attr-defined]
    if request.headers.get("Authorization"):
        if current_app.config.get("FAB_API_KEY_ENABLED", False) and (key := sm.extract_api_key_from_request()):
            if not sm.validate_api_key(key):
                raise Unauthorized
            return
        try:
            with _reading_accounts():
                verify_jwt_in_request()
        except PASSING_ERRORS:
            raise
        except Exception:
            raise Unauthorized from None
        return
    if not current_user.is_authenticated:
        raise Unauthorized
    check_csrf()


def needs(permission: str, menu: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a page or endpoint: the permission it takes, on the class's own menu unless one is named."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                authorize(permission, menu or self.class_permission_name)
            except Unauthorized:
                if getattr(self, "is_page", False):
                    return _to_login()
                raise
            return method(self, *args, **kwargs)

        checked.enrollment_needs = (permission, menu)  # type: ignore[attr-defined]
        return checked

    return decorate


def anyone(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a page that asks for no log-in, because it changes nothing and asks for a secret of its own."""
    method.enrollment_open = True  # type: ignore[attr-defined]
    return method


def verb(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a page or endpoint that carries out a business verb."""
    return needs(name, MENU)


def _to_login() -> Any:
    flash(str(Unauthorized.message), "warning")
    login = current_app.appbuilder.sm.auth_view.__class__.__name__  # type: ignore[attr-defined]
    page = request.full_path if request.method == "GET" else same_site(request.referrer)
    return redirect(url_for(f"{login}.login", next=page))


def same_site(url: str | None) -> str | None:
    """The URL if it stays on this server, else nothing; for "back to where you came from"."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    if parts.netloc and parts.netloc != request.host:
        return None
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else None
