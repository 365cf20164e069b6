"""Every list makes the same number of queries for one row as for many."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from tests import factories
from tests.api.routes import LISTS, Route
from tests.http import ApiClient

MANY = {"calculation-runs": 4}
"""Collections whose records are dear to make; 50 of every other."""


@pytest.mark.parametrize("route", LISTS, ids=str)
def test_a_list_makes_as_many_queries_for_fifty_rows_as_for_one(route: Route, api: ApiClient, actor: Actor) -> None:
    make = factories.maker_of(route.template)
    make(actor, 0)
    api.get(route.path())
    few = queries_of(api, route)
    for number in range(1, MANY.get(route.template.split("/")[-1], 50)):
        make(actor, number)
    assert queries_of(api, route) == few


def queries_of(api: ApiClient, route: Route) -> int:
    """How many statements a list takes."""
    with CaptureQueriesContext(connection) as captured:
        answer = api.get(route.path())
    assert answer.status_code == 200
    return len(captured)
