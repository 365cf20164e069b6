"""How long after it was posted a figure is in the API, in a report and in the console of a running installation.

Each is read once, at once, after each post: what is not there yet fails. What is printed is how long the reads took.
"""

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.journeys.server import Installation

pytestmark = pytest.mark.journey
POSTS = 10
PRICE = Decimal("10.01")


def test_a_figure_that_was_posted_is_in_every_next_read(
    running: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    running.manage("create_workspace", "--slug", "lag", "--base-currency", "GBP", "--timezone", "Europe/London")
    key = running.manage("issue_api_key", "--workspace", "lag", "--permissions", "all")
    with running.client(key) as client, console_client(running, "lag") as console:
        partner = client.post("/v1/partners", json={"name": "Quick", "external_id": "quick"}).json()["data"]["id"]
        reads: dict[str, Callable[[], Decimal]] = {
            "partner": lambda: figure(client, f"/v1/partners/{partner}")["data"]["performance"]["revenue"],
            "partner list": lambda: figure(client, "/v1/partners")["data"][0]["performance"]["revenue"],
            "report": lambda: figure(client, "/v1/reports")["data"]["totals"]["revenue"],
            "console": lambda: shown(console, f"/admin/partners/partner/{partner}/change/"),
        }
        lags: dict[str, list[float]] = {name: [] for name in reads}
        for number in range(1, POSTS + 1):
            for name, read in reads.items():
                total = PRICE * (len(reads) * (number - 1) + list(reads).index(name) + 1)
                answer = client.post("/v1/revenue", json={"partner_id": "quick", "revenue_amount": str(PRICE)})
                assert answer.status_code == 201
                posted = time.perf_counter()
                assert Decimal(str(read())) == total
                lags[name].append((time.perf_counter() - posted) * 1_000)
    with capsys.disabled():
        for name, spent in lags.items():
            print(f"\n{name}: in the first read after each post, {statistics.median(spent):.0f} ms later", end="")


def figure(client: httpx.Client, path: str) -> Any:
    """A document of the API."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json(parse_float=Decimal)


@contextmanager
def console_client(running: Installation, slug: str) -> Iterator[httpx.Client]:
    """A browser signed in as the owner of a workspace."""
    person = ("--email", f"{slug}@example.com", "--name", "Ola", "--workspace", slug, "--role", "owner")
    password = running.manage("create_user", *person)
    with httpx.Client(base_url=running.url, trust_env=False, timeout=60, follow_redirects=True) as browser:
        page = browser.get("/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        form = {"csrfmiddlewaretoken": token[1], "username": f"{slug}@example.com", "password": password}
        assert "/login/" not in str(browser.post("/admin/login/?next=/admin/", data=form).url)
        yield browser


def shown(browser: httpx.Client, path: str) -> Decimal:
    """The net revenue of the period, as the partner's page shows it."""
    text = re.sub(r"<[^>]+>", " ", browser.get(path).text)
    found = re.search(r"Revenue\s+(?:GBP\s+|£\s*)?([\d,]+\.\d+)", text)
    assert found is not None, text
    return Decimal(found[1].replace(",", ""))
