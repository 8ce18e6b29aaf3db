"""How pages and REST classes are registered at the start without doing what only later requests need."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType

from flask import Flask
from werkzeug.routing import Rule


class Routed:
    """Base of everything that has routes.

    At the start the framework goes through `dir` of each object five times and asks every attribute for the marks
    that decorators leave on methods. Titles would be translated to answer that, and properties read.
    """

    def __dir__(self) -> tuple[str, ...]:
        """The methods that carry a mark."""
        return _marked(type(self))  # type: ignore[arg-type]  # classes can be hashed


@functools.cache
def _marked(kind: type) -> tuple[str, ...]:
    members = (member for base in kind.__mro__ for member in vars(base).items())
    return tuple({name for name, value in members if isinstance(value, FunctionType) and vars(value)})


class LateRule(Rule):
    """A route whose URL builders are compiled when a URL is first built; each is a small program of its own."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = functools.cache(functools.partial(super()._compile_builder, append_unknown))
        return lambda rule, /, **values: compiled()(rule, **values)


@contextmanager
def late_rules(app: Flask) -> Iterator[None]:
    """Routes that are registered inside are `LateRule`s; the host's own stay what they are."""
    own = app.url_rule_class
    app.url_rule_class = LateRule
    try:
        yield
    finally:
        app.url_rule_class = own
