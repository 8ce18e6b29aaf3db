"""The tables of the README say what the code says."""

from dataclasses import fields
from pathlib import Path

from enrollment_addon import manifest
from enrollment_addon.cli import enrollment
from enrollment_addon.core import roles
from enrollment_addon.settings import PREFIX, Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COLUMNS = (roles.OWNER, roles.MANAGER, roles.TEAM)


def table(title: str) -> list[str]:
    """The rows of the table under a heading, without its head."""
    _before, found, rest = README.partition(f"\n### {title}\n")
    assert found, f"the README has a section {title}"
    section = rest.split("\n#")[0].splitlines()
    return [line for line in section if line.startswith("|")][2:]


def ticks(holders: object) -> str:
    return " | ".join("✓" if role in holders else "" for role in COLUMNS)  # type: ignore[operator]


def test_every_setting_is_listed_as_it_is() -> None:
    expected = [
        f"| `{PREFIX}{f.name.upper()}` | {_shown(f.default)} | {f.metadata['meaning']} | {f.metadata['takes']} |"
        for f in fields(Settings)
    ]
    assert table("Settings") == expected


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"all: `{list(value)}`".replace("'", '"')
    return "empty" if value == "" else f"`{value}`"


def test_every_verb_is_listed_with_who_holds_it() -> None:
    expected = [
        f"| {verb.area} | {verb.label} | `can_{verb.name}` | {ticks(verb.roles)} |"
        for verb in manifest.verbs(manifest.MODULES)
    ]
    assert table("Verbs") == expected


def test_every_permission_on_records_is_listed_with_who_holds_it() -> None:
    wanted = manifest.role_permissions([m.name for m in manifest.MODULES])
    expected = []
    for menu, names in manifest.permissions(manifest.MODULES).items():
        if menu == "Enrollment":
            continue
        for name in names:
            holders = [role for role in COLUMNS if (f"can_{name}", menu) in wanted[role]]
            expected.append(f"| `{menu}` | `can_{name}` | {ticks(holders)} |")
    assert table("Records") == expected


def test_every_command_is_listed() -> None:
    for name in enrollment.commands:
        assert f"`flask enrollment {name}" in README, name
