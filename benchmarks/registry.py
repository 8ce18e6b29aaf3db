"""What a benchmark is: a named function that yields comparisons."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """How much to measure: `runs` per side, `clients` of a grant, `seconds` per run of a rate, `full` sizes."""

    runs: int = 5
    clients: int = 100_000
    seconds: float = 3.0
    full: bool = False


@dataclass(frozen=True)
class Comparison:
    """One bound and how it was met. `value` is a ratio or a plain number in `unit`; exactly one limit is set."""

    name: str
    value: float
    unit: str = "×"
    at_most: float | None = None
    at_least: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool:
        if self.at_most is not None:
            return self.value <= self.at_most
        assert self.at_least is not None
        return self.value >= self.at_least

    def __str__(self) -> str:
        bound = f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"
        mark = "ok    " if self.met else "MISSED"
        return f"{mark} {self.name}: {self.value:.2f} {self.unit} (bound {bound})  {self.detail}"


Benchmark = Callable[[Options], Iterator[Comparison]]
benchmarks: dict[str, Benchmark] = {}


def benchmark(name: str) -> Callable[[Benchmark], Benchmark]:
    """Register the decorated function under a name for the command line."""

    def register(function: Benchmark) -> Benchmark:
        benchmarks[name] = function
        return function

    return register


@dataclass
class SideBySide:
    """Results of two sides that run in turn."""

    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    def run(self, runs: int, ours: Callable[[], float], plain: Callable[[], float]) -> "SideBySide":
        """Run both `runs` times, each time the other one first."""
        for number in range(runs):
            sides = [(self.ours, ours), (self.plain, plain)]
            for results, measure in sides if number % 2 else reversed(sides):
                results.append(measure())
        return self

    @property
    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.plain)

    def show(self, unit: str) -> str:
        """Both medians with the fastest and slowest run."""

        def side(results: list[float]) -> str:
            return f"{statistics.median(results):,.2f} ({min(results):,.2f}–{max(results):,.2f})"

        return f"service {side(self.ours)} {unit}, plain {side(self.plain)} {unit}"
