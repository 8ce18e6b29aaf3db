"""What the undo of a batch will do and has done, in words and figures, by kind of batch."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from ...core.web import render
from .. import queries, service

TRANSFER, CONVERT, EXTEND, VOID = "credits.transfer", "credits.convert", "credits.extend", "credits.void"
CONVERT_MANY = "credits.convert_many"


def sentence(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    """What will happen. `giver`: whose credits were transferred, where the reader knows them."""
    tell = {
        TRANSFER: _transfer, CONVERT: _conversion, CONVERT_MANY: _conversion, EXTEND: _extension, VOID: _void,
    }.get(batch.kind, _grant)
    parts = [tell(plan, batch, giver)]
    if plan.lapsed:
        parts.append(ngettext(
            "%(num)s of them is past its last day then and expires.",
            "%(num)s of them are past their last day then and expire.", plan.lapsed,
        ))
    if batch.kind not in (EXTEND, VOID):
        parts += _gone(batch)
    return " ".join(parts)


def _grant(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    if not plan.clients_spent and plan.taken_back == plan.credits:
        return ngettext(
            "Nobody has spent any: all %(num)s credit is taken back.",
            "Nobody has spent any: all %(num)s credits are taken back.", plan.taken_back,
        )
    figures = {"taken_back": render.number(plan.taken_back), "credits": render.number(plan.credits)}
    if not plan.clients_spent:
        return _("Nobody has spent any: %(taken_back)s of %(credits)s are taken back.", **figures)
    spent = ngettext(
        "%(num)s of %(clients)s has already spent some", "%(num)s of %(clients)s have already spent some",
        plan.clients_spent, clients=plan.clients,
    )
    return _(
        "%(spent)s: their spent credits stay, %(taken_back)s of %(credits)s are taken back.", spent=spent, **figures
    )


def _transfer(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    name = giver or (_("another client") if "from_client_id" in batch.input else _("those who gave them"))
    told = ngettext(
        "%(num)s of %(credits)s credit goes back to %(name)s.", "%(num)s of %(credits)s credits go back to %(name)s.",
        plan.taken_back, credits=render.number(plan.credits), name=name,
    )
    return " ".join(part for part in (told, _kept(plan), _stays(plan)) if part)


def _conversion(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    before = plan.taken_back // batch.input["get"] * batch.input["give"]
    told = ngettext(
        "%(num)s of %(credits)s credit becomes %(before)s × %(event_type)s again.",
        "%(num)s of %(credits)s credits become %(before)s × %(event_type)s again.",
        plan.taken_back, credits=render.number(plan.credits), before=render.number(before),
        event_type=batch.event_type or "",
    )
    return " ".join(part for part in (told, _kept(plan), _stays(plan)) if part)


def _extension(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    told = [
        ngettext(
            "%(num)s available credit gets its former last day back.",
            "%(num)s available credits get their former last day back.", plan.taken_back,
        ),
    ]
    if plan.credits > plan.taken_back + plan.kept_spent:
        told.append(_("Lots that got yet another last day since then keep it."))
    return " ".join(told)


def _void(plan: service.UndoPlan, batch: queries.BatchSummary, giver: str | None) -> str:
    told = [
        ngettext(
            "%(num)s of %(credits)s voided credit comes back to its lot.",
            "%(num)s of %(credits)s voided credits come back to their lots.",
            plan.taken_back, credits=render.number(plan.credits),
        )
    ]
    if plan.closed:
        told.append(ngettext(
            "%(num)s stays voided: its client or enrollment is no longer there, or what gave it was undone.",
            "%(num)s stay voided: their clients or enrollments are no longer there, or what gave them was undone.",
            plan.closed,
        ))
    return " ".join(told)


def _stays(plan: service.UndoPlan) -> str:
    if not plan.closed:
        return ""
    return ngettext(
        "%(num)s stays: the client it came from was merged or erased.",
        "%(num)s stay: the clients they came from were merged or erased.", plan.closed,
    )


def _kept(plan: service.UndoPlan) -> str:
    if not plan.kept_spent:
        return ""
    return ngettext(
        "%(num)s is spent or booked and stays.", "%(num)s are spent or booked and stay.", plan.kept_spent
    )


def _gone(batch: queries.BatchSummary) -> list[str]:
    """What left the lots in other ways, so that the figures add up."""
    found = [
        text for number, text in (
            (batch.transferred, ngettext("%(num)s was given away", "%(num)s were given away", batch.transferred)),
            (batch.expired, ngettext("%(num)s expired", "%(num)s expired", batch.expired)),
            (batch.taken_back, ngettext("%(num)s was voided", "%(num)s were voided", batch.taken_back)),
        ) if number
    ]
    return [_("No longer there: %(what)s.", what=", ".join(found))] if found else []


def facts(plan: service.UndoPlan, kind: str) -> list[dict[str, Any]]:
    first = {
        TRANSFER: _("Given back"), CONVERT: _("Converted back"), CONVERT_MANY: _("Converted back"),
        EXTEND: _("With their former last day"), VOID: _("Given back"),
    }.get(kind, _("Taken back"))
    pairs = (
        (first, plan.taken_back), (_("Stay, because spent or reserved"), plan.kept_spent), (_("Clients"), plan.clients)
    )
    return [{"label": label, "value": render.number(value)} for label, value in pairs]


def button(kind: str, number: int) -> str:
    """The verb, with its figure."""
    match kind:
        case "credits.transfer" | "credits.void":
            return ngettext("Give %(num)s credit back", "Give %(num)s credits back", number)
        case "credits.convert" | "credits.convert_many":
            return ngettext("Convert %(num)s credit back", "Convert %(num)s credits back", number)
        case "credits.extend":
            return ngettext(
                "Set back the last day of %(num)s credit", "Set back the last day of %(num)s credits", number
            )
        case _:
            return ngettext("Take back %(num)s credit", "Take back %(num)s credits", number)


def done(kind: str, number: int) -> str:
    """What was done."""
    match kind:
        case "credits.transfer" | "credits.void":
            return ngettext("%(num)s credit was given back.", "%(num)s credits were given back.", number)
        case "credits.convert" | "credits.convert_many":
            return ngettext("%(num)s credit was converted back.", "%(num)s credits were converted back.", number)
        case "credits.extend":
            return ngettext(
                "%(num)s credit has its former last day again.", "%(num)s credits have their former last day again.",
                number,
            )
        case _:
            return ngettext("%(num)s credit was taken back.", "%(num)s credits were taken back.", number)


def is_empty(plan: service.UndoPlan, kind: str) -> bool:
    """Whether an undo would change nothing. A new last day is also one of reserved credits."""
    return not plan.taken_back and not (kind == EXTEND and plan.reserved)


def nothing(plan: service.UndoPlan, kind: str) -> str:
    """Why nobody is asked."""
    if kind == EXTEND:
        return _("There is nothing to undo: nothing is left in these lots, or they got yet another last day since.")
    if kind == VOID and plan.closed:
        return _(
            "There is nothing to give back: the clients or enrollments are no longer there, or what gave the credits "
            "was undone."
        )
    return _("There is nothing to take back: the credits of this batch were spent, have expired or moved on.")
