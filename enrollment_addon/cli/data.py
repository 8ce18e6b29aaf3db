"""Data as a whole: a demonstration, and the proof that it adds up."""

import functools
import json
import sys
from contextlib import nullcontext
from dataclasses import asdict

import click

from ..core.db import unit_of_work
from .common import Line, as_json, enrollment, get_extension, get_session, refuse, say, working


@enrollment.command()
@click.option("--clients", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--if-empty", is_flag=True, help="Where there are clients already, only print the log-ins.")
@as_json
@working("credits")
def demo(clients: int, seed: int, if_empty: bool, as_json: bool) -> None:
    """Fill an empty installation with realistic data, and print the log-ins."""
    from ..demo import data, people

    made = 0 if _has_clients() else clients
    if made:
        users = people.create_users()
        with click.progressbar(length=clients, label="Demo data", file=sys.stderr, hidden=as_json) as bar:
            data.load(get_session(), users=users, clients=clients, seed=seed, progress=bar.update)
    elif not if_empty:
        refuse("There are clients already; the demo data is for an empty installation.")
    log_ins = [{"username": name, "password": people.PASSWORD, "role": what} for name, what in people.SHOWN]
    say(as_json, {"clients": made, "log_ins": log_ins}, people.log_ins())


def _has_clients() -> bool:
    from sqlalchemy import select

    from ..people.models import Client

    return get_session().execute(select(Client.id).limit(1)).first() is not None


@enrollment.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
@click.option("--repair", is_flag=True, help="Write correcting entries and rows.")
@working("credits")
def check(as_json: bool, repair: bool) -> None:
    """Prove that the ledger and money add up; print every row that does not. Code 1 if one is left."""
    found = left = 0
    line = Line(hidden=as_json)
    with unit_of_work(get_session()) if repair else nullcontext():
        for name, prove in get_extension().checks.items():
            share = functools.partial(line.share, name.capitalize())
            for finding in prove(get_session(), repair=repair, progress=share):
                found, left = found + 1, left + (not finding.repaired)
                told = ", ".join(f"{k} {v}" for k, v in asdict(finding).items() if v is not None)
                line.clear()
                click.echo(json.dumps(asdict(finding), default=str) if as_json else told)
    line.clear()
    if not as_json:
        click.echo(f"{found} found, {found - left} repaired." if found else "The ledger and money are consistent.")
    sys.exit(1 if left else 0)
