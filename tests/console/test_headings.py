"""Every page says where it is: the words of the menu, the row, and what is done on the page."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from tests import factories
from tests.console.conftest import MemberFactory

LISTS = {
    "Partners": "admin:partners_partner_changelist",
    "Costs": "admin:partners_cost_changelist",
    "Ledger": "admin:revenues_revenueevent_changelist",
    "Imports": "admin:revenues_importbatch_changelist",
    "Exchange rates": "admin:partners_fxrate_changelist",
    "Made reports": "admin:reports_report_changelist",
    "Reports": "admin:reports_report_live",
    "Report schedules": "admin:reports_reportschedule_changelist",
    "Webhooks": "admin:webhooks_endpoint_changelist",
    "Audit log": "admin:workspaces_auditentry_changelist",
}


def told(found: str) -> str:
    """What a tag says."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found.replace("chevron_right", ">"))).split())


def heading(page: str) -> str:
    """The heading at the top of a page."""
    found = re.search(r"<h1.*?</h1>", page, re.DOTALL)
    assert found
    return told(found[0])


def tab(page: str) -> str:
    """The title in the browser's tab."""
    found = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    assert found
    return told(found[1])


@pytest.mark.parametrize("title", LISTS)
def test_a_list_is_called_once_and_as_the_menu_calls_it(title: str, owner: Client) -> None:
    page = owner.get(reverse(LISTS[title])).text
    assert heading(page) == title
    assert tab(page) == f"{title} | Alliantra"


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("admin:partners_fxrate_waiting", "Exchange rates > What waits for an exchange rate"),
        ("admin:partners_fxrate_upload", "Exchange rates > Upload exchange rates"),
        ("admin:partners_cost_add", "Costs > Add cost"),
        ("admin:revenues_importbatch_templates", "Imports > Import templates"),
    ],
)
def test_a_page_of_a_list_says_which_one_it_is(address: str, title: str, owner: Client) -> None:
    assert heading(owner.get(reverse(address)).text) == title


def test_a_row_stands_behind_its_list_and_a_command_behind_its_row(owner: Client, actor: Actor) -> None:
    schedule = factories.report_schedule(actor, 1)
    page = owner.get(reverse("admin:reports_reportschedule_change", args=[schedule])).text
    name = heading(page).removeprefix("Report schedules > ")
    assert name != heading(page)
    asks = owner.get(reverse("admin:reports_reportschedule_command", args=[schedule, "delete"])).text
    assert heading(asks) == f"Report schedules > {name} > Delete"


def test_the_button_that_opens_the_menu_can_be_reached_by_keyboard(owner: Client) -> None:
    assert re.search(r'<button[^>]* aria-label="Menu"', owner.get(reverse("admin:index")).text)


def test_an_empty_list_says_where_rows_come_from(owner: Client) -> None:
    page = told(owner.get(reverse("admin:partners_partner_changelist")).text)
    assert "No partners yet Add them one by one, import a file of them" in page
    assert "Add partner" in page
    assert "Show all" not in page


def test_a_search_without_a_match_leads_back_to_all(owner: Client) -> None:
    for asked in ("?q=nobody", "?status__exact=at_risk"):
        page = told(owner.get(reverse("admin:partners_partner_changelist") + asked).text)
        assert "Nothing matches No partners are like what you searched or filtered for." in page
        assert "Show all" in page


def test_who_may_not_add_a_row_is_not_asked_to(member: MemberFactory) -> None:
    page = told(member("viewer").get(reverse("admin:partners_partner_changelist")).text)
    assert "No partners yet" in page
    assert "Add partner" not in page
