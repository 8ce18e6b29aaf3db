"""Rules that hold for every file of the package, whoever writes it."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [*(ROOT / "enrollment_addon").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]
LONGEST_FUNCTION = 70
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


def commits(tree: ast.AST) -> Iterator[int]:
    """Lines that end a transaction."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield node.lineno


def clock_readings(tree: ast.AST) -> Iterator[int]:
    """Lines that ask the computer what time it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ".".join(ast.unparse(node.func).split(".")[-2:]) in CLOCKS:
            yield node.lineno


def long_functions(tree: ast.AST) -> Iterator[int]:
    """Lines where a function starts that is too long to be read at once."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            if node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                yield node.lineno


Rule = Callable[[ast.AST], Iterator[int]]


def found_by(rule: Rule, allowed: str = "") -> list[str]:
    assert FILES
    return [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        if str(path.relative_to(ROOT)) != allowed
        for line in rule(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_only_the_unit_of_work_commits() -> None:
    assert found_by(commits, allowed="enrollment_addon/core/db.py") == []


def test_only_the_clock_reads_the_time() -> None:
    assert found_by(clock_readings, allowed="enrollment_addon/core/clock.py") == []


def test_no_function_is_too_long() -> None:
    assert found_by(long_functions) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (commits, "db.session.commit()"),
        (clock_readings, "x = dt.datetime.now(dt.UTC)"),
        (clock_readings, "x = date.today()"),
        (long_functions, "def f():\n" + "    pass\n" * LONGEST_FUNCTION),
    ],
)
def test_the_rules_notice_an_offence(rule: Rule, code: str) -> None:
    assert list(rule(ast.parse(code))) == [1]
    assert list(rule(ast.parse("def f():\n" + "    commit(now)\n" * (LONGEST_FUNCTION - 1)))) == []
