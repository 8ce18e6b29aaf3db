"""The command line: which benchmarks, how large."""

import argparse
import sys

from . import client_list, grant, imports, ledger, schedule, spending, startup  # noqa: F401 - importing registers them
from .registry import Options, benchmarks


def main() -> int:
    """Run the named benchmarks; 1 when a bound was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(benchmarks)} (default: all)")
    parser.add_argument("--runs", type=int, default=Options.runs, help="runs per side")
    parser.add_argument("--clients", type=int, default=Options.clients, help="clients of a bulk grant")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="length of a rate's run")
    parser.add_argument("--full", action="store_true", help="also the sizes that take minutes")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(benchmarks)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(benchmarks)}")
    options = Options(asked.runs, asked.clients, asked.seconds, asked.full)
    missed = 0
    for name in asked.names or benchmarks:
        print(f"== {name}", flush=True)
        for comparison in benchmarks[name](options):
            print(f"   {comparison}", flush=True)
            missed += not comparison.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
