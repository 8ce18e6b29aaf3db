"""The main job in a browser: by mouse, without a mouse, and on a phone."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances


def test_all_that_match_get_credits_and_the_batch_is_undone(
    open_as: Callable[..., Page], app: Flask, studio: Studio
) -> None:
    """Ana searches, ticks the page, selects all 40, saves, sees the card, and takes everything back."""
    page = open_as("ana")
    page.goto("/enrollment/clients/list/")
    page.get_by_role("searchbox").fill("fischer")
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="All on this page").check()
    page.get_by_role("button", name=re.compile("Select all 40")).click()
    page.get_by_role("button", name="Add session credits").click()
    page.get_by_label("Credits per client").fill("3")
    page.get_by_role("button", name="Add 120 credits to 40 clients").click()
    expect(page.get_by_text("40 clients got session credits.")).to_be_visible()
    assert balances(app) == dict.fromkeys(studio.clients, 3)

    page.get_by_role("link", name="Maya 00 Fischer", exact=True).click()
    expect(page.get_by_role("heading", name="Maya 00 Fischer")).to_be_visible()
    expect(page.get_by_text("Yoga class").first).to_be_visible()
    page.go_back()

    page.get_by_role("link", name="Undo batch").click()
    expect(page.get_by_text("all 120 credits are taken back")).to_be_visible()
    page.get_by_label("Reason").fill("Wrong clients")
    page.get_by_role("button", name="Take back 120 credits").click()
    expect(page.get_by_text("120 credits were taken back.")).to_be_visible()
    assert set(balances(app).values()) == {0}
    assert_ledger_is_consistent(app)


@pytest.mark.databases("sqlite")
def test_the_main_job_without_a_mouse(open_as: Callable[..., Page], app: Flask, studio: Studio) -> None:
    """“/” focuses the search, Tab and Space tick a row, Enter opens the form and saves it."""
    page = open_as("ana")
    page.goto("/enrollment/clients/list/")
    page.keyboard.press("/")
    page.keyboard.type("maya 07")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    _tab_to(page, page.get_by_role("checkbox", name=re.compile("Maya 07")))
    page.keyboard.press("Space")
    _tab_to(page, page.get_by_role("button", name="Add session credits"))
    page.keyboard.press("Enter")
    _tab_to(page, page.get_by_label("Credits per client"))
    page.keyboard.press("Control+A")
    page.keyboard.type("2")
    expect(page.get_by_role("button", name="Add 2 credits to 1 client")).to_be_visible()
    _tab_to(page, page.get_by_role("button", name="Add 2 credits to 1 client"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 client got session credits.")).to_be_visible()
    assert balances(app) == {studio.clients[7]: 2}

    page.goto("/enrollment/clubs/list/")  # a list without ticks: the links of its rows are walked
    _tab_to(page, page.get_by_role("link", name="Downtown", exact=True))
    for key in ("ArrowDown", "ArrowUp", "End", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Uptown")).to_be_visible()


def _tab_to(page: Page, target: Any) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("it is reached with the Tab key")


@pytest.mark.databases("sqlite")
def test_a_team_member_adds_credits_on_a_phone(open_as: Callable[..., Page], app: Flask, studio: Studio) -> None:
    """Client → Session credits → Add, at 360 pixels."""
    page = open_as("jonas", width=360)
    page.goto(f"/enrollment/clients/show/{studio.jonas_clients[0]}")
    page.get_by_role("link", name="Add session credits").first.click()
    page.get_by_label("Credits per client").fill("4")
    page.get_by_role("button", name="Add 4 credits to 1 client").click()
    expect(page.get_by_text("1 client got session credits.")).to_be_visible()
    assert balances(app) == {studio.jonas_clients[0]: 4}


@pytest.mark.databases("sqlite")
def test_a_large_grant_shows_its_progress(open_as: Callable[..., Page], app: Flask, studio: Studio) -> None:
    """Above the threshold the job's page fills its bar by itself and leads to the batch."""
    from tests.scenarios.test_faults import many_clients

    many_clients(app, 600)
    page = open_as("ana")
    page.goto("/enrollment/clients/list/")
    page.get_by_role("checkbox", name="All on this page").check()
    page.get_by_role("button", name=re.compile("Select all 645")).click()
    page.get_by_role("button", name="Add session credits").click()
    page.locator("#event_type_id-ts-control").press_sequentially("yoga")
    page.get_by_role("option", name="Yoga class").click()
    expect(page.get_by_text("This runs in the background").last).to_be_visible()
    page.get_by_role("button", name="Add 645 credits to 645 clients").click()
    page.get_by_role("link", name="Show the result").click(timeout=30_000)
    expect(page.get_by_role("heading", name=re.compile("Yoga class"))).to_be_visible()
    assert sum(balances(app).values()) == 645
