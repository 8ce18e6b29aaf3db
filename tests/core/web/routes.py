"""All ways into the add-on, read off the application, so that a new one can't be forgotten by a test."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask

from enrollment_addon.core.web.api import Api
from enrollment_addon.core.web.views import Mended


@dataclass(frozen=True)
class Route:
    """One method of one URL. `permission` is (permission, menu), None where the method itself decides."""

    url: str
    method: str
    endpoint: str
    view: Any
    permission: tuple[str, str | None] | None
    open: bool
    places: frozenset[str]

    @property
    def is_page(self) -> bool:
        return isinstance(self.view, Mended)

    @property
    def name(self) -> str:
        return type(self.view).__name__

    def at(self, key: Any, **over: Any) -> str:
        """The URL with this key in it."""
        url = self.url
        for place in self.places:
            value = over.get(place, {"fmt": "csv", "source": "clients"}.get(place, key))
            url = url.replace(f"<{place}>", str(value))
        return url


def all_routes(app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        method: Callable[..., Any] = app.view_functions[rule.endpoint]
        view = getattr(method, "__self__", None)
        if not isinstance(view, (Mended, Api)):
            continue
        spec = getattr(method, "enrollment_operation", None)
        needs = (spec.permission, spec.menu) if spec else getattr(method, "enrollment_needs", None)
        anyone = bool(spec and spec.open) or getattr(method, "enrollment_open", False)
        for verb in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(
                rule.rule, verb, rule.endpoint, view, needs, anyone, frozenset(rule.arguments)
            )


API_VIEWS: Mapping[str, str] = {
    "ImportApi": "ImportView", "ClubApi": "ClubView", "ClientApi": "ClientView", "ParticipantApi": "ParticipantView",
    "HouseholdApi": "HouseholdView", "TeamMemberApi": "TeamMemberView", "EventTypeApi": "EventTypeView",
    "PackageApi": "PackageView", "EnrollmentApi": "EnrollmentView",
    "CreditsApi": "LotView", "LotApi": "LotView", "ClientCreditsApi": "ClientView", "BatchApi": "BatchView",
    "JobApi": "JobView", "ChargeApi": "ChargeView", "ClientChargesApi": "ClientView", "PaymentApi": "PaymentView",
    "OnlinePaymentApi": "OnlinePaymentView",
    "ClassGroupApi": "ClassGroupView", "SessionApi": "SessionView", "BookingApi": "BookingView",
    "ClosureApi": "ClosureView", "NoticeApi": "NoticeView",
    "ClassCategoryApi": "ClassCategoryView", "ActivityLevelApi": "ActivityLevelView",
    "SemesterApi": "SemesterView", "SkillApi": "SkillView", "TrainingReportApi": "TrainingReportView",
}
"""The page that shows the same records as a REST class."""


def key_for(route: Route, keys: Mapping[str, int]) -> int:
    return keys.get(API_VIEWS.get(route.name, route.name), 1)
