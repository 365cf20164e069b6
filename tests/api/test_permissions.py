"""Every route, with the permission it needs and without it."""

import pytest

from alliantra.workspaces.permissions import ALL
from tests.api.routes import ROUTES, Route
from tests.conftest import ClientFactory

GUARDED = [route for route in ROUTES if route.permission]


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_without_its_permission_a_route_answers_403_and_names_it(route: Route, client: ClientFactory) -> None:
    answer = client(sorted(ALL - {route.permission})).call(route.method, route.path())
    assert (answer.status_code, answer.json()["required_permission"]) == (403, route.permission)


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_with_its_permission_alone_a_route_does_not_answer_403(route: Route, client: ClientFactory) -> None:
    answer = client([str(route.permission)]).call(route.method, route.path())
    assert answer.status_code != 403
    assert answer.status_code < 500


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_without_a_key_a_route_answers_401_with_a_challenge(route: Route, client: ClientFactory) -> None:
    stranger = client()
    stranger.key = ""
    answer = stranger.call(route.method, route.path())
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_method_a_route_does_not_know_answers_405(route: Route, client: ClientFactory) -> None:
    known = {other.method for other in ROUTES if other.template == route.template}
    stranger = next(method for method in ("PATCH", "DELETE", "PUT", "GET") if method not in known)
    answer = client().django.generic(stranger, route.path(), headers={"Authorization": f"Bearer {client().key}"})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) >= known


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_an_unknown_query_parameter_answers_400_and_names_it(route: Route, client: ClientFactory) -> None:
    answer = client().call(route.method, f"{route.path()}?colour=blue")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    assert answer.json()["parameter"] == "colour"


def test_the_role_table_gives_no_permission_that_does_not_exist() -> None:
    from alliantra.workspaces.permissions import CONSOLE_RESOURCES, ROLES, write

    assert all(permissions <= ALL | write(*CONSOLE_RESOURCES) for permissions in ROLES.values())
