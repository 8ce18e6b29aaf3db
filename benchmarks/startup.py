"""The start of a production host: how much longer it takes with the add-on than without."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from .registry import Comparison, Options, SideBySide, benchmark


def start(url: str, *, addon: bool) -> tuple[float, int]:
    """Start a host in this process, its imports included: seconds of processor and queries."""
    began = time.process_time()
    from tests.hosts import QueryCount, make_host

    counts: list[QueryCount] = []

    def count(app: Any, db: Any) -> None:
        counts.append(QueryCount(db.engine).__enter__())

    make_host(url, addon=addon, before=count)
    return time.process_time() - began, len(counts[0].statements)


@benchmark("startup")
def startup(options: Options) -> Iterator[Comparison]:
    """A fresh process per run; permissions are not synchronised, as the README says for production.

    Everything is compiled to bytecode before, as pip does when it installs: the framework is, so the add-on has to be.
    """
    from .databases import databases

    queries: dict[str, int] = {}

    def run(url: str, kind: str) -> float:
        command = [sys.executable, "-m", "benchmarks.startup", url, kind]
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        seconds, asked = told.split()
        queries[kind] = int(asked)
        return float(seconds)

    with databases() as servers, tempfile.TemporaryDirectory(prefix="enrollment-bench-") as bytecode:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
        url = servers.new("sqlite", installed=True)
        for kind in ("addon", "bare"):
            run(url, kind)
        sides = SideBySide().run(options.runs, lambda: run(url, "addon"), lambda: run(url, "bare"))
    more = statistics.median(sides.ours) - statistics.median(sides.plain)
    yield Comparison("start of a host, more than without", more, "s", at_most=0.4, detail=sides.show("s"))
    yield Comparison("start of a host, more than without", queries["addon"] - queries["bare"], "queries", at_most=10)


if __name__ == "__main__":
    print(*start(sys.argv[1], addon=sys.argv[2] == "addon"))
