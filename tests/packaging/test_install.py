"""The package as others get it: built, installed into an empty environment, started there."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("enrollment_addon", "migrations", "translations")
IN_WHEEL = {"migrations": "enrollment_addon/migrations", "translations": "enrollment_addon/translations"}

TRY_IT = """
from enrollment_addon.demo import create_app
from enrollment_addon.core import install

app = create_app()
with app.app_context():
    assert install.at_head(app.appbuilder.session.get_bind())
http = app.test_client()
assert http.get("/login/").status_code == 200
assert http.get("/enrollment/static/enrollment.css").status_code == 200
assert http.get("/enrollment/static/enrollment.js").status_code == 200
assert http.get("/api/v1/enrollment/health").json["ready"]
http.get("/lang/de")
token = http.get("/login/").text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
answer = http.post("/login/", data={"username": "owner", "password": "demo", "csrf_token": token})
assert answer.status_code == 302, answer.status
page = http.get("/enrollment/clients/list/")
assert page.status_code == 200
assert "Kunden" in page.text
"""


def files_to_install() -> set[str]:
    """Every file of the package that has to be in the wheel, by its path there."""
    found = set()
    for part in PARTS:
        for path in (ROOT / part).rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
                inside = path.relative_to(ROOT / part).as_posix()
                found.add(f"{IN_WHEEL.get(part, part)}/{inside}")
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what a build reads, so that nothing is left behind in the checkout."""
    copy = tmp_path / "source"
    copy.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run a program in an empty folder, without anything of this environment; its output."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def call(*arguments: str | Path) -> str:
        done = subprocess.run(
            [str(argument) for argument in arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return call


def test_the_wheel_has_everything_and_works_alone(source: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == files_to_install()

    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    bin_folder = tmp_path / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", bin_folder / "python")
    flask = (bin_folder / "flask", "--app", "enrollment_addon.demo", "enrollment")
    run(*pip, "install", "--no-compile", f"{wheel}[server]")
    run(*pip, "check")
    run(*flask, "init")
    run(*flask, "demo", "--clients", "12")
    assert "agree" in run(*flask, "db", "check")
    run(bin_folder / "python", "-c", TRY_IT)

    run(*pip, "install", "--no-deps", "--editable", source)
    assert "agree" in run(*flask, "db", "check")
    run(bin_folder / "python", "-c", TRY_IT)
    where = "import enrollment_addon, sys; print(enrollment_addon.__file__)"
    assert str(source) in run(bin_folder / "python", "-c", where)
