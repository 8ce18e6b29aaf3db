"""Chromium in front of a real server on a fresh database."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from enrollment_addon.core import roles
from tests.conftest import PASSWORD
from tests.live import Server
from tests.scenarios.conftest import Studio, make_studio

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)


ONLINE = {"ENROLLMENT_STRIPE_KEY": "sk_test_unused", "ENROLLMENT_STRIPE_WEBHOOK_SECRET": "whsec_unused"}
"""Online payment is switched on, so that its pages are there; nobody gets as far as Stripe."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the run; a machine without it fails, it never skips."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Chromium is installed (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def studio(app: Flask, make_user: Callable[..., int]) -> Studio:
    make_user("ana", [roles.OWNER])
    return make_studio(app, make_user("jonas", [roles.TEAM]))


@pytest.fixture
def server(app: Flask, database_url: str, studio: Studio, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, SQLALCHEMY_DATABASE_URI=database_url, **ONLINE).start()
    yield server
    server.stop()


@pytest.fixture
def open_as(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """Log a person in, in a language and at a width; whatever the console calls an error fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(username: str, *, language: str = "en", width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, base_url=server.url, has_touch=width < 500, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if _is_complaint(m) else None)
        page.goto("/login/")
        page.fill("#username", username)
        page.fill("#password", PASSWORD)
        page.click("input[type=submit]")
        page.goto(f"/lang/{language}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_complaint(message: ConsoleMessage) -> bool:
    """Errors, but for a page that is not there, input that was refused, and what a policy would only report."""
    expected = ("404", "422", "report-only")
    return message.type == "error" and not any(word in message.text.lower() for word in expected)
