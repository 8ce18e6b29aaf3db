"""The `ENROLLMENT_*` settings of a host as one typed, validated object.

An unknown or invalid setting stops the start: `SettingsError` says which one and what it takes.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .core import clock, money

PREFIX = "ENROLLMENT_"
MODULES = ("people", "catalog", "credits", "billing", "schedule", "enrollments", "training")
"""The modules a host may switch on, lower ones first: each needs those before it."""

BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "pyamqp")
"""What the URL of a broker starts with: Redis and RabbitMQ."""


class SettingsError(RuntimeError):
    """The host's configuration cannot be used; the application must not start."""


def setting(default: Any, meaning: str, check: Any, takes: str, *, secret: bool = False) -> Any:
    """A `secret` one stands in no message and no representation."""
    known = {"meaning": meaning, "check": check, "takes": takes, "secret": secret}
    return field(default=default, metadata=known, repr=not secret)


def _whole(low: int, high: int) -> Any:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _modules(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(module in MODULES for module in value)


def _broker(value: Any) -> bool:
    """Empty, or the URL of a Redis or RabbitMQ; whether one answers there is for `health` to say.

    `memory://` is Celery's broker within one process, for the tests of a host.
    """
    if value in ("", "memory://"):
        return True
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        return parts.scheme in BROKERS and bool(parts.netloc or parts.path) and (parts.port or 0) >= 0
    except ValueError:
        return False


def _begins(*starts: str) -> Any:
    """Empty, or text without spaces that begins like this."""
    return lambda v: isinstance(v, str) and (not v or (v.startswith(starts) and not any(c.isspace() for c in v)))


def _folder(value: Any) -> bool:
    """Empty, or a folder that can be written to or made; made only when the first file is."""
    if not isinstance(value, str):
        return False
    try:
        there = next(path for path in (Path(value).absolute(), *Path(value).absolute().parents) if path.exists())
    except (OSError, ValueError):
        return False
    return not value or (there.is_dir() and os.access(there, os.W_OK | os.X_OK))


def _one_of(known: Callable[[], Collection[str]]) -> Any:
    return lambda value: isinstance(value, str) and value in known()


@dataclass(frozen=True)
class Settings:
    """One attribute per setting; `ENROLLMENT_` + the name in capitals is its key in the host's configuration."""

    modules: tuple[str, ...] = setting(
        MODULES, "which parts of the add-on are switched on", _modules, f"a list out of {', '.join(MODULES)}"
    )
    broker_url: str = setting(
        "", "Celery broker; empty: jobs run in a worker thread of the web process",
        _broker, "a URL such as redis://localhost:6379/0",
    )
    worker: bool = setting(
        True, "whether this process may run jobs in a thread of its own (without a broker)", _flag, "True or False"
    )
    job_threshold: int = setting(
        500, "more clients than this make a verb a background job", _whole(0, 100_000), "a number from 0 to 100000"
    )
    grant_chunk: int = setting(
        10_000, "clients per transaction of a bulk grant", _whole(1, 100_000), "a number from 1 to 100000"
    )
    sweep_chunk: int = setting(
        1_250, "rows per transaction of work beside live bookings", _whole(1, 20_000), "a number from 1 to 20000"
    )
    job_lease_seconds: int = setting(
        30, "a running job whose worker has been silent this long is taken over", _whole(2, 3600),
        "a number from 2 to 3600",
    )
    grace_days: int = setting(
        14, "days a credit stays usable that comes back after its expiry", _whole(0, 365), "a number from 0 to 365"
    )
    horizon_weeks: int = setting(
        12, "sessions of class groups are made for so many weeks ahead", _whole(1, 104), "a number from 1 to 104"
    )
    notice_hours: int = setting(
        24, "hours before a session up to which a booking is cancelled without losing the credit", _whole(0, 720),
        "a number from 0 to 720",
    )
    no_show_forfeits: bool = setting(True, "whether a no-show uses the credit up", _flag, "True or False")
    late_cancel_forfeits: bool = setting(
        True, "whether a late cancellation uses the credit up", _flag, "True or False"
    )
    waitlist_hold_hours: int = setting(
        0, "hours a freed place is held for the first on the waitlist; 0: they get it at once", _whole(0, 168),
        "a number from 0 to 168",
    )
    auto_complete: bool = setting(
        True, "whether an enrollment is completed when its last session is used", _flag, "True or False"
    )
    pauses_per_year: int = setting(
        4, "pauses that an enrollment may have in a calendar year", _whole(0, 366), "a number from 0 to 366"
    )
    pause_days_per_year: int = setting(
        90, "days that an enrollment may be paused in a calendar year", _whole(0, 366), "a number from 0 to 366"
    )
    count_cap: int = setting(
        10_000, "lists count matches exactly up to here", _whole(100, 1_000_000), "a number from 100 to 1000000"
    )
    export_job_rows: int = setting(
        10_000, "an export of more rows than this is a background job", _whole(1, 1_000_000),
        "a number from 1 to 1000000",
    )
    export_folder: str = setting(
        "",
        "where finished exports are kept; empty: the instance folder of the application; several machines need a "
        "folder that they share",
        _folder, "a folder that can be written to",
    )
    export_days: int = setting(
        7, "finished exports are deleted after so many days, and all of them when a client is erased", _whole(1, 365),
        "a number from 1 to 365",
    )
    currency: str = setting(
        "EUR", "currency proposed for a new club (ISO 4217)", _one_of(money.currencies), "an ISO 4217 code"
    )
    timezone: str = setting(
        "UTC", "time zone proposed for a new club (IANA)", _one_of(clock.timezones), "an IANA time zone"
    )
    stripe_key: str = setting(
        "", "secret key of the account at Stripe that takes money online; empty: online payment is off",
        _begins("sk_", "rk_"), "a secret or restricted key: sk_… or rk_…", secret=True,
    )
    stripe_webhook_secret: str = setting(
        "", "what Stripe signs its events with; empty: online payment is off", _begins("whsec_"),
        "the signing secret of the webhook endpoint: whsec_…", secret=True,
    )
    stripe_url: str = setting(
        "", "address of Stripe's interface; empty: Stripe's own", _begins("https://", "http://"),
        "a URL such as https://stripe.example.org",
    )
    metrics: bool = setting(False, "serve Prometheus metrics at /enrollment/metrics", _flag, "True or False")


def load_settings(config: Mapping[str, Any]) -> Settings:
    """Read every `ENROLLMENT_*` key of the configuration.

    Raises: SettingsError for a key that does not exist or a value it does not take.
    """
    known = {PREFIX + f.name.upper(): f for f in fields(Settings)}
    values: dict[str, Any] = {}
    for key in sorted(k for k in config if k.startswith(PREFIX)):
        if key not in known:
            raise SettingsError(f"{key} is not a setting of enrollment_addon. Known: {', '.join(sorted(known))}.")
        entry, value = known[key], config[key]
        if not entry.metadata["check"](value):
            shown = key if entry.metadata["secret"] else f"{key} = {value!r}"
            raise SettingsError(f"{shown} cannot be used: it takes {entry.metadata['takes']}.")
        values[entry.name] = tuple(value) if entry.name == "modules" else value
    settings = Settings(**values)
    for position, module in enumerate(MODULES):
        missing = [m for m in MODULES[:position] if module in settings.modules and m not in settings.modules]
        if missing:
            raise SettingsError(f"{PREFIX}MODULES: {module} needs {', '.join(missing)}.")
    return settings
