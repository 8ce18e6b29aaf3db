"""What the add-on adds to a host, as tables in menu order: modules → verbs, views, APIs, wiring."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Flask
from flask_babel import lazy_gettext as _l

from .billing import api as billing_api
from .billing import client_pages as billing_client_pages
from .billing import report as billing_report
from .billing import views as billing_views
from .billing.online import api as online_api
from .billing.online import client_pages as online_client_pages
from .billing.online import views as online_views
from .catalog import api as catalog_api
from .catalog import class_api, class_views, package_views
from .catalog import views as catalog_views
from .core import roles
from .core.extension import Verb
from .core.web import access, health, options, team_permissions
from .credits import api as credits_api
from .credits import views as credits_views
from .credits.imports import api as import_api
from .credits.imports import views as import_views
from .enrollments import api as enrollment_api
from .enrollments import views as enrollment_views
from .jobs import api as jobs_api
from .jobs import views as jobs_views
from .notices import api as notice_api
from .notices import views as notice_views
from .people import api as people_api
from .people import own_page
from .people import views as people_views
from .schedule import api as schedule_api
from .schedule import calendar_views, closure_views, feed_api, feed_views, group_views
from .schedule import views as schedule_views
from .settings import Settings
from .training import api as training_api
from .training import views as training_views
from .wiring import (
    wire_billing,
    wire_catalog,
    wire_credits,
    wire_enrollments,
    wire_people,
    wire_schedule,
    wire_training,
)

OWNER, MANAGER, TEAM, CLIENT = roles.OWNER, roles.MANAGER, roles.TEAM, roles.CLIENT

CLIENTS = _l("Clients")
CREDITS = _l("Session credits")
ENROLLMENTS = _l("Enrollments")
SCHEDULE = _l("Schedule")
MONEY = _l("Money")
STUDIO = _l("Catalog")
TEAM_AREA = _l("Team")


class View(NamedTuple):
    """A page class and, with a `name`, its place in the menu. Names are unique in the host's menu."""

    view: type[Any]
    name: str = ""
    label: Any = ""
    icon: str = ""
    category: str = ""
    category_label: Any = ""
    category_icon: str = ""


@dataclass(frozen=True)
class Module:
    """A part of the add-on that can be switched off."""

    name: str
    wire: Callable[[Flask, Settings], None]
    verbs: Sequence[Verb]
    views: Sequence[View]
    apis: Sequence[type[Any]]


def _menu(view: type[Any], name: str, label: Any, icon: str, category: str, category_label: Any, folder: str) -> View:
    return View(view, f"Enrollment {name}", label, icon, f"Enrollment {category}", category_label, folder)


MODULES: tuple[Module, ...] = (
    Module(
        "people",
        wire_people,
        verbs=(
            Verb("merge_clients", _l("Merge clients"), CLIENTS, _l("Make one client of two records of a person"),
                 (OWNER, MANAGER)),
            Verb("erase_client_data", _l("Erase client data"), CLIENTS,
                 _l("Replace a client’s personal data for good; ledger and money stay"), (OWNER,)),
            Verb("export_client_data", _l("Export client data"), CLIENTS,
                 _l("Download everything that is kept about one client"), (OWNER, MANAGER)),
            Verb(access.SEE_ALL, _l("See all clients"), CLIENTS,
                 _l("For people without a team member record; with one, its scope decides"), (OWNER, MANAGER)),
            Verb("run_jobs", _l("Run jobs"), TEAM_AREA, _l("Cancel background jobs and start them again"),
                 (OWNER, MANAGER)),
            Verb("manage_team_permissions", _l("Manage team permissions"), TEAM_AREA,
                 _l("Decide which role may do what"), (OWNER,)),
        ),
        views=(
            _menu(people_views.ClientView, "Clients", CLIENTS, "fa-user", "Clients", CLIENTS, "fa-users"),
            _menu(people_views.HouseholdView, "Households", _l("Households"), "fa-home", "Clients", CLIENTS,
                  "fa-users"),
            _menu(people_views.ParticipantView, "Participants", _l("Participants"), "fa-child", "Clients", CLIENTS,
                  "fa-users"),
            _menu(people_views.ClubView, "Clubs", _l("Clubs"), "fa-building", "Team", TEAM_AREA, "fa-id-badge"),
            _menu(people_views.TeamMemberView, "Team members", _l("Team members"), "fa-id-badge", "Team", TEAM_AREA,
                  "fa-id-badge"),
            _menu(team_permissions.TeamPermissionsView, "Team permissions", _l("Team permissions"), "fa-key", "Team",
                  TEAM_AREA, "fa-id-badge"),
            _menu(jobs_views.JobView, "Jobs", _l("Jobs"), "fa-tasks", "Team", TEAM_AREA, "fa-id-badge"),
            View(options.OptionsView),
            View(health.HealthView),
            View(own_page.OwnPageView, "Enrollment My sessions", _l("My sessions and credits"), "fa-ticket"),
        ),
        apis=(
            people_api.ClubApi, people_api.ClientApi, people_api.ParticipantApi, people_api.HouseholdApi,
            people_api.TeamMemberApi, jobs_api.JobApi, health.HealthApi,
        ),
    ),
    Module(
        "catalog",
        wire_catalog,
        verbs=(),
        views=(
            _menu(catalog_views.EventTypeView, "Event types", _l("Event types"), "fa-calendar", "Catalog", STUDIO,
                  "fa-book"),
            _menu(package_views.PackageView, "Packages", _l("Packages"), "fa-cubes", "Catalog", STUDIO, "fa-book"),
            _menu(class_views.ClassCategoryView, "Class categories", _l("Class categories"), "fa-tags", "Catalog",
                  STUDIO, "fa-book"),
            _menu(class_views.ActivityLevelView, "Activity levels", _l("Activity levels"), "fa-signal", "Catalog",
                  STUDIO, "fa-book"),
            _menu(class_views.SemesterView, "Semesters", _l("Semesters"), "fa-calendar-o", "Catalog", STUDIO,
                  "fa-book"),
        ),
        apis=(
            catalog_api.EventTypeApi, catalog_api.PackageApi, class_api.ClassCategoryApi, class_api.ActivityLevelApi,
            class_api.SemesterApi,
        ),
    ),
    Module(
        "credits",
        wire_credits,
        verbs=(
            Verb("add_session_credits", _l("Add session credits"), CREDITS,
                 _l("Give credits to one client or to many at once"), (OWNER, MANAGER, TEAM)),
            Verb("void_session_credits", _l("Void session credits"), CREDITS,
                 _l("Take the unspent rest of credits back"), (OWNER, MANAGER)),
            Verb("transfer_session_credits", _l("Transfer session credits"), CREDITS,
                 _l("Give unspent credits of one client to another"), (OWNER, MANAGER)),
            Verb("extend_credit_expiry", _l("Extend credit expiry"), CREDITS,
                 _l("Give credits a new last day"), (OWNER, MANAGER)),
            Verb("convert_session_credits", _l("Convert session credits"), CREDITS,
                 _l("Make credits of another event type of unspent ones"), (OWNER, MANAGER)),
            Verb("import_clients", _l("Import clients"), CLIENTS,
                 _l("Create and change clients and their opening credits from a file"), (OWNER, MANAGER)),
            Verb("undo_batch", _l("Undo batch"), CREDITS, _l("Take back what a batch gave and nobody has spent"),
                 (OWNER, MANAGER)),
        ),
        views=(
            _menu(import_views.ImportView, "Imports", _l("Imports"), "fa-upload", "Clients", CLIENTS, "fa-users"),
            _menu(credits_views.BatchView, "Batches", _l("Batches"), "fa-clone", "Credits", CREDITS, "fa-ticket"),
            _menu(credits_views.LotView, "Lots", _l("Lots"), "fa-ticket", "Credits", CREDITS, "fa-ticket"),
            _menu(credits_views.EntryView, "Ledger", _l("Ledger"), "fa-list", "Credits", CREDITS, "fa-ticket"),
            _menu(credits_views.ExpiringView, "Expiring soon", _l("Expiring soon"), "fa-hourglass-half", "Credits",
                  CREDITS, "fa-ticket"),
            View(credits_views.ExpiringClientsView),
            View(credits_views.CreditsView),
            View(credits_views.CreditMovesView),
            View(credits_views.OwnCreditsView),
        ),
        apis=(
            credits_api.CreditsApi, credits_api.LotApi, credits_api.LedgerApi, credits_api.ExpiringApi,
            credits_api.ClientCreditsApi, credits_api.BatchApi, import_api.ImportApi,
        ),
    ),
    Module(
        "billing",
        wire_billing,
        verbs=(
            Verb("issue_charges", _l("Issue charges"), MONEY, _l("Let a client owe money for something"),
                 (OWNER, MANAGER, TEAM)),
            Verb("void_charges", _l("Void charges"), MONEY,
                 _l("Withdraw a charge; what was paid for it goes on account"), (OWNER, MANAGER)),
            Verb("take_payments", _l("Take payments"), MONEY,
                 _l("Record money that came in, and use what is on account"), (OWNER, MANAGER, TEAM)),
            Verb("refund", _l("Refund payments"), MONEY, _l("Give money back, never more than came in"),
                 (OWNER, MANAGER)),
            Verb("request_online_payments", _l("Ask for online payments"), MONEY,
                 _l("Send clients a link to pay open charges, and cancel it"), (OWNER, MANAGER, TEAM)),
        ),
        views=(
            _menu(billing_views.ChargeView, "Charges", _l("Charges"), "fa-list", "Money", MONEY, "fa-credit-card"),
            _menu(billing_views.PaymentView, "Payments", _l("Payments"), "fa-credit-card", "Money", MONEY,
                  "fa-credit-card"),
            _menu(billing_report.OpenChargesView, "Open charges", _l("Open charges by age"), "fa-hourglass-half",
                  "Money", MONEY, "fa-credit-card"),
            _menu(online_views.OnlinePaymentView, "Online payments", _l("Online payments"), "fa-globe", "Money", MONEY,
                  "fa-credit-card"),
            View(billing_client_pages.MoneyView),
            View(online_client_pages.OnlineRequestView),
            View(online_client_pages.OwnPaymentView),
            View(online_views.OnlineReturnView),
        ),
        apis=(
            billing_api.ChargeApi, billing_api.ClientChargesApi, billing_api.PaymentApi, billing_api.RefundApi,
            online_api.OnlinePaymentApi,
        ),
    ),
    Module(
        "schedule",
        wire_schedule,
        verbs=(
            Verb("book_sessions", _l("Book sessions"), SCHEDULE,
                 _l("Give clients a place in classes and make appointments"), (OWNER, MANAGER, TEAM)),
            Verb("cancel_bookings", _l("Cancel bookings"), SCHEDULE,
                 _l("Take a booking back and say whether what was paid comes back"), (OWNER, MANAGER, TEAM)),
            Verb("take_attendance", _l("Take attendance"), SCHEDULE,
                 _l("Say who came, who did not, and who cancelled late"), (OWNER, MANAGER, TEAM)),
            Verb("close_sessions", _l("Close days and sessions"), SCHEDULE,
                 _l("Cancel sessions for everybody in them, and undo that"), (OWNER, MANAGER)),
            Verb("manage_calendar_links", _l("Manage calendar links"), SCHEDULE,
                 _l("Make and end links that calendar programs subscribe to"), (OWNER, MANAGER, TEAM)),
        ),
        views=(
            _menu(calendar_views.CalendarView, "Schedule page", _l("Schedule"), "fa-calendar", "Schedule", SCHEDULE,
                  "fa-calendar"),
            _menu(schedule_views.SessionView, "Sessions", _l("Sessions"), "fa-calendar-o", "Schedule", SCHEDULE,
                  "fa-calendar"),
            _menu(group_views.ClassGroupView, "Class groups", _l("Class groups"), "fa-repeat", "Schedule", SCHEDULE,
                  "fa-calendar"),
            _menu(schedule_views.BookingView, "Bookings", _l("Bookings"), "fa-check-square-o", "Schedule", SCHEDULE,
                  "fa-calendar"),
            _menu(closure_views.ClosureView, "Closures", _l("Closures"), "fa-ban", "Schedule", SCHEDULE,
                  "fa-calendar"),
            _menu(notice_views.NoticeView, "Notices", _l("Notices"), "fa-envelope-o", "Schedule", SCHEDULE,
                  "fa-calendar"),
            View(feed_views.FeedView),
            View(feed_views.CalendarFileView),
        ),
        apis=(
            schedule_api.ClassGroupApi, schedule_api.SessionApi, schedule_api.BookingApi, schedule_api.ClosureApi,
            feed_api.CalendarLinkApi, notice_api.NoticeApi,
        ),
    ),
    Module(
        "enrollments",
        wire_enrollments,
        verbs=(
            Verb("create_enrollment", _l("Create enrollment"), ENROLLMENTS,
                 _l("Sell a package to a client, and sell it again"), (OWNER, MANAGER, TEAM)),
            Verb("update_sessions", _l("Update sessions"), ENROLLMENTS,
                 _l("Change how many sessions an enrollment has"), (OWNER, MANAGER, TEAM)),
            Verb("complete_enrollment", _l("Complete enrollment"), ENROLLMENTS,
                 _l("Mark an enrollment as completed"), (OWNER, MANAGER, TEAM)),
            Verb("cancel_enrollment", _l("Cancel enrollment"), ENROLLMENTS,
                 _l("End an enrollment early and refund what is proposed"), (OWNER, MANAGER)),
            Verb("adjust_refund_amount", _l("Adjust refund amount"), ENROLLMENTS,
                 _l("Change the refund that is proposed, never above what was paid"), (OWNER, MANAGER)),
            Verb("pause_enrollment", _l("Pause enrollment"), ENROLLMENTS,
                 _l("Let an enrollment rest, and resume it"), (OWNER, MANAGER, TEAM)),
            Verb("delete_enrollment", _l("Delete enrollment"), ENROLLMENTS,
                 _l("Delete an enrollment without money on it, and restore it"), (OWNER,)),
            Verb("undo_enrollment", _l("Undo enrollment"), ENROLLMENTS,
                 _l("Take a cancellation or completion back"), (OWNER, MANAGER)),
        ),
        views=(
            _menu(enrollment_views.EnrollmentView, "All enrollments", ENROLLMENTS, "fa-bookmark", "Enrollments",
                  ENROLLMENTS, "fa-bookmark"),
        ),
        apis=(enrollment_api.EnrollmentApi,),
    ),
    Module(
        "training",
        wire_training,
        verbs=(
            Verb("write_training_reports", _l("Write training reports"), ENROLLMENTS,
                 _l("Write, change and delete reports on participants"), (OWNER, MANAGER, TEAM)),
        ),
        views=(
            _menu(training_views.TrainingReportView, "Training reports", _l("Training reports"), "fa-file-text-o",
                  "Enrollments", ENROLLMENTS, "fa-graduation-cap"),
            _menu(training_views.SkillView, "Skills", _l("Skills"), "fa-star-o", "Enrollments", ENROLLMENTS,
                  "fa-graduation-cap"),
        ),
        apis=(training_api.TrainingReportApi, training_api.SkillApi),
    ),
)

_RECORDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "EnrollmentClient": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER, TEAM), "edit": (OWNER, MANAGER, TEAM),
                         "delete": (OWNER, MANAGER)},
    "EnrollmentHousehold": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER, TEAM),
                            "edit": (OWNER, MANAGER, TEAM), "delete": (OWNER, MANAGER)},
    "EnrollmentParticipant": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER, TEAM),
                              "edit": (OWNER, MANAGER, TEAM), "delete": (OWNER, MANAGER)},
    "EnrollmentClub": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER,), "edit": (OWNER, MANAGER), "delete": (OWNER,)},
    "EnrollmentTeamMember": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER,), "edit": (OWNER,), "delete": (OWNER,)},
    "EnrollmentEventType": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                            "delete": (OWNER,)},
    "EnrollmentPackage": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                          "delete": (OWNER,)},
    "EnrollmentClassCategory": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                                "delete": (OWNER,)},
    "EnrollmentActivityLevel": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                                "delete": (OWNER,)},
    "EnrollmentSemester": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                           "delete": (OWNER,)},
    "EnrollmentClassGroup": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                             "delete": (OWNER, MANAGER)},
    "EnrollmentSession": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER, TEAM),
                          "edit": (OWNER, MANAGER, TEAM), "delete": (OWNER, MANAGER)},
    "EnrollmentBooking": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentClosure": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentNotice": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentEnrollment": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentCredits": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentBatch": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentImport": {"read": (OWNER, MANAGER)},
    "EnrollmentCharge": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentPayment": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentTrainingReport": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentSkill": {"read": (OWNER, MANAGER, TEAM), "add": (OWNER, MANAGER), "edit": (OWNER, MANAGER),
                        "delete": (OWNER, MANAGER)},
    "EnrollmentJob": {"read": (OWNER, MANAGER, TEAM)},
    "EnrollmentOwnPage": {"read": (CLIENT,), "pay": (CLIENT,)},
}
"""Who may read and write which records from the start: menu → permission → roles."""

MENU_ORDER = (
    "Enrollment Clients", "Enrollment Credits", "Enrollment Enrollments", "Enrollment Schedule", "Enrollment Money",
    "Enrollment Catalog", "Enrollment Team", "",
)


def in_menu_order(modules: Sequence[Module]) -> list[View]:
    """The views of these modules, category by category as the menu shows them."""
    return sorted((v for m in modules for v in m.views), key=lambda v: MENU_ORDER.index(v.category))


def verbs(modules: Sequence[Module]) -> list[Verb]:
    """The verbs of these modules, area by area as the Team permissions page shows them."""
    areas = (CLIENTS, CREDITS, ENROLLMENTS, SCHEDULE, MONEY, TEAM_AREA)
    return sorted((v for m in modules for v in m.verbs), key=lambda v: areas.index(v.area))


def _records(modules: Sequence[Module]) -> dict[str, Mapping[str, Sequence[str]]]:
    """The part of `_RECORDS` that these modules have a page for."""
    menus = {v.view.class_permission_name for m in modules for v in m.views}
    return {menu: by for menu, by in _RECORDS.items() if menu in menus}


def permissions(modules: Sequence[Module]) -> dict[str, tuple[str, ...]]:
    """All permissions of these modules by menu: their verbs, and those of their records."""
    named = tuple(v.name for v in verbs(modules))
    return {access.MENU: named, **{menu: tuple(by) for menu, by in _records(modules).items()}}


_TEAM_MENUS_ONLY_OWNER = frozenset({"Enrollment Team permissions"})


def role_permissions(modules: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
    """What `init` gives each role: role → (permission, menu) pairs, for the modules that are switched on."""
    chosen = [m for m in MODULES if m.name in modules]
    wanted: dict[str, set[tuple[str, str]]] = {name: set() for name in roles.ROLES}
    for menu, by in _records(chosen).items():
        for permission, holders in by.items():
            for role in holders:
                wanted[role].add((f"can_{permission}", menu))
    for module in chosen:
        for verb in module.verbs:
            for role in verb.roles:
                wanted[role].add((f"can_{verb.name}", access.MENU))
        for view in module.views:
            if view.name:
                readers = _RECORDS.get(view.view.class_permission_name, {}).get("read", (OWNER, MANAGER, TEAM))
                holders = (OWNER,) if view.name in _TEAM_MENUS_ONLY_OWNER else readers
                for role in holders:
                    wanted[role] |= {("menu_access", name) for name in (view.name, view.category) if name}
    return wanted
