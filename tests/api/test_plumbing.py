"""Keys, headers, limits, stored answers, documents and health."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as current_time

from alliantra.api import throttling
from alliantra.api.schema import SURFACES, surface_document
from alliantra.errors import FIELD_CODES
from alliantra.workspaces import keys
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import ApiKey, StoredAnswer, Workspace
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import issue_api_key, revoke_api_key
from partners.models import Payee
from tests.api.routes import ROUTES, Route
from tests.conftest import ClientFactory
from tests.http import ApiClient, validator

PING = "/api/allocora/ping"
PAYEE = {"external_id": "p", "name": "P"}


def key_of(workspace: Workspace, **options: Any) -> tuple[ApiKey, ApiClient]:
    """A key with options, and a client that uses it."""
    row, key = issue_api_key(workspace, actor=Actor.system(workspace), name="k", permissions=sorted(ALL), **options)
    return row, ApiClient(key)


def test_ping_tells_a_valid_key_from_any_other(api: ApiClient) -> None:
    assert api.get(PING).json() == {"status": "ok", "service": "allocora"}
    for wrong in ["", "x", api.key[:-1] + ("0" if api.key[-1] != "0" else "1"), keys.generate("live")[0]]:
        assert ApiClient(wrong).get(PING).status_code == 401


def test_a_key_with_a_wrong_checksum_costs_no_query_of_its_own(api: ApiClient) -> None:
    broken = api.key[:-1] + ("0" if api.key[-1] != "0" else "1")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        ApiClient(broken).get(PING)
    assert not [query for query in captured.captured_queries if "apikey" in query["sql"]]


def test_an_expired_or_revoked_key_is_refused_at_once(workspace: Workspace) -> None:
    _, expired = key_of(workspace, expires_at=current_time() - timedelta(seconds=1))
    assert expired.get(PING).status_code == 401
    row, client = key_of(workspace)
    assert client.get(PING).status_code == 200
    revoke_api_key(row, actor=Actor.system(workspace), now=current_time())
    assert client.get(PING).status_code == 401


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (["203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.0/24"], "203.0.114.9", 403),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["2001:db8::/32"], "2001:db8::1", 200),
        (["2001:db8::/32"], "203.0.113.9", 403),
        ([], "198.51.100.1", 200),
    ],
)
def test_a_key_works_only_from_its_networks(
    networks: list[str], address: str, status: int, workspace: Workspace
) -> None:
    _, client = key_of(workspace, allowed_networks=networks)
    answer = client.django.get(PING, headers={"Authorization": f"Bearer {client.key}"}, REMOTE_ADDR=address)
    assert answer.status_code == status


def test_the_client_address_is_the_hop_before_our_own_proxies(workspace: Workspace, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    _, client = key_of(workspace, allowed_networks=["203.0.113.9/32"])
    headers = {"Authorization": f"Bearer {client.key}"}
    forged = client.django.get(PING, headers={**headers, "X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
    honest = client.django.get(PING, headers={**headers, "X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert (forged.status_code, honest.status_code) == (403, 200)


def test_the_workspace_header_may_be_left_out_and_must_agree(
    api: ApiClient, workspace: Workspace, rival_workspace: Workspace
) -> None:
    assert api.get(PING, X_Workspace_ID=str(workspace.pk)).status_code == 200
    other = api.get(PING, X_Workspace_ID=str(rival_workspace.pk))
    assert (other.status_code, other.json()["code"]) == (403, "workspace_mismatch")
    assert api.get(PING, X_Workspace_ID="acme").status_code == 400


@pytest.mark.parametrize("header", ["Bearer a, Bearer b", "Basic YTpi", "Bearer", "Bearer  "])
def test_other_credentials_are_refused(header: str, db: None) -> None:
    assert Client().get(PING, headers={"Authorization": header}).status_code in {400, 401}


def test_a_key_notes_its_use_once_a_minute(workspace: Workspace) -> None:
    row, client = key_of(workspace)
    client.get(PING)
    first = ApiKey.objects.get(pk=row.pk).last_used_at
    client.get(PING)
    assert first is not None
    assert ApiKey.objects.get(pk=row.pk).last_used_at == first


def test_the_key_is_nowhere_stored(workspace: Workspace) -> None:
    row, client = key_of(workspace)
    assert client.key.startswith(row.prefix)
    stored = ApiKey.objects.filter(pk=row.pk).values().get()
    assert client.key not in {str(value) for value in stored.values()}


# -- headers -------------------------------------------------------------------------------------


def test_a_request_id_is_kept_or_made_and_stands_in_the_problem(api: ApiClient) -> None:
    answer = api.get("/api/v1/payees?page=0", X_Request_ID="order-7")
    assert answer.headers["X-Request-ID"] == "order-7" == answer.json()["request_id"]
    forged = api.get(PING, X_Request_ID="a b\tc")
    assert forged.headers["X-Request-ID"] not in {"", "a b\tc"}


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page=9223372036854775808", "page=", "per_page=101", "page=1&page=2",
     "page=\u0661", "on_hold=yes", "type=thing", "partner_id=zzz", "search=%00", "search="],
)  # fmt: skip
def test_a_wrong_query_parameter_is_refused_by_name(query: str, api: ApiClient) -> None:
    answer = api.get(f"/api/v1/payees?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_a_refusal_of_a_query_parameter_says_what_is_taken(api: ApiClient) -> None:
    wrong = {
        "/v1/partners?status=paused": "status must be one of active, at_risk, optimized, inactive.",
        "/v1/costs?kind=rent": "kind must be one of fee, media, bonus, other.",
        "/v1/partners?period=1969-12-01,2026-05-31": "period: A period lies in the years 1970 to 2199.",
    }
    assert {path: api.get(path).json()["detail"] for path in wrong} == wrong


def test_an_address_that_is_too_long_is_refused(api: ApiClient) -> None:
    assert api.get("/api/v1/payees?search=" + "a" * 4_096).status_code == 414
    parameters = "&".join(f"a{number}=1" for number in range(101))
    assert api.get(f"/api/v1/payees?{parameters}").status_code == 400


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/v1/nothing", "/api/v1/payees/", "/api/v1/payees/7", "/v1/"])
def test_a_path_that_does_not_exist_is_a_problem_and_no_page(path: str, api: ApiClient) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "route", {route.template: route for route in ROUTES}.values(), ids=lambda route: route.template
)
def test_a_method_that_a_path_does_not_have_is_refused_and_not_allowed(route: Route, api: ApiClient) -> None:
    for method in ["OPTIONS", "TRACE", "PROPFIND"]:
        answer = api.django.generic(method, route.path(), headers={"Authorization": f"Bearer {api.key}"})
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert method not in answer.headers["Allow"]


# -- rate limit ----------------------------------------------------------------------------------


@pytest.fixture
def two_a_minute(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.RATE_LIMIT_PER_MINUTE = 2
    stopped = current_time().timestamp()
    monkeypatch.setattr(throttling, "current_seconds", lambda: stopped)
    throttling.forget_redis()
    yield
    throttling.forget_redis()


def test_the_limit_is_announced_and_the_request_beyond_it_refused(two_a_minute: None, api: ApiClient) -> None:
    first, second = api.get(PING), api.get(PING)
    assert first.headers["RateLimit"].startswith('"default";r=1;t=')
    assert second.headers["RateLimit-Policy"] == '"default";q=2;w=60'
    third = api.get(PING)
    assert (third.status_code, third.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(third.headers["Retry-After"]) <= 60


def test_an_absent_redis_lets_requests_through(two_a_minute: None, api: ApiClient, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    throttling.forget_redis()
    assert [api.get(PING).status_code for _ in range(4)] == [200] * 4


# -- Idempotency-Key -----------------------------------------------------------------------------


def test_the_same_key_and_body_replays_the_first_answer(api: ApiClient) -> None:
    first = api.post("/api/v1/payees", PAYEE, Idempotency_Key="k1")
    again = api.post("/api/v1/payees", PAYEE, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    assert Payee.objects.count() == 1


def test_another_body_under_the_same_key_is_refused(api: ApiClient) -> None:
    api.post("/api/v1/payees", PAYEE, Idempotency_Key="k1")
    other = api.post("/api/v1/payees", {"name": "Q"}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_is_replayed_too(api: ApiClient) -> None:
    first = api.post("/api/v1/payees", {"nme": "P"}, Idempotency_Key="k1")
    again = api.post("/api/v1/payees", {"nme": "P"}, Idempotency_Key="k1")
    assert (first.status_code, again.status_code, again.content) == (422, 422, first.content)
    assert again.headers["Content-Type"] == "application/problem+json"


def test_keys_of_two_workspaces_do_not_meet(api: ApiClient, client: ClientFactory, rival_workspace: Workspace) -> None:
    api.post("/api/v1/payees", PAYEE, Idempotency_Key="k1")
    other = client(of=rival_workspace).post("/api/v1/payees", {"name": "Q"}, Idempotency_Key="k1")
    assert other.status_code == 201


def test_after_its_hours_a_key_is_free_again(api: ApiClient) -> None:
    api.post("/api/v1/payees", PAYEE, Idempotency_Key="k1")
    StoredAnswer.objects.update(created_at=current_time() - timedelta(hours=25))
    again = api.post("/api/v1/payees", {"name": "Q"}, Idempotency_Key="k1")
    assert again.status_code == 201
    assert "Idempotent-Replayed" not in again.headers


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_the_wrong_form_is_refused(key: str, api: ApiClient) -> None:
    assert api.post("/api/v1/payees", PAYEE, Idempotency_Key=key).status_code == 400


# -- documents and health ------------------------------------------------------------------------


def test_the_documents_are_served_and_valid(db: None) -> None:
    from openapi_spec_validator import validate

    for path in ["/v1/openapi.json", "/api/v1/openapi.json"]:
        document = Client().get(path).json()
        assert document["openapi"].startswith("3.1")
        validate(document)


def test_every_operation_is_described(db: None) -> None:
    for path in ["/v1/openapi.json", "/api/v1/openapi.json"]:
        for address, operations in Client().get(path).json()["paths"].items():
            for method, operation in operations.items():
                missing = {"tags", "summary", "description", "security", "responses"} - {
                    name for name, value in operation.items() if value
                }
                assert not missing, f"{method} {address} lacks {missing}"


@pytest.mark.parametrize("surface", sorted(SURFACES))
def test_every_json_body_has_an_example_that_fits_its_schema(surface: str) -> None:
    for address, operations in surface_document(surface)["paths"].items():
        for method, operation in operations.items():
            for content in json_bodies(operation):
                for example in examples_of(content):
                    problems = list(validator(surface, content["schema"]).iter_errors(example))
                    assert not problems, f"{method} {address}: {problems[0].message}"


def examples_of(content: dict[str, Any]) -> list[Any]:
    """The one example of a body, or its several named ones."""
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named or [content["example"]]


def json_bodies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Contents of the request and of the answers that are no refusals."""
    contents = [
        operation.get("requestBody", {}),
        *(operation["responses"][code] for code in ("200", "201") if code in operation["responses"]),
    ]
    return [body["content"]["application/json"] for body in contents if "application/json" in body.get("content", {})]


def test_a_problem_type_leads_to_a_page(api: ApiClient) -> None:
    problem = api.get("/api/v1/payees?page=0").json()
    page = Client().get(problem["type"])
    assert page.status_code == 200
    assert problem["title"] in page.content.decode()
    assert Client().get("/docs/errors/nothing").status_code == 404


def test_the_code_of_a_field_has_a_page_too(db: None) -> None:
    for code in FIELD_CODES:
        page = Client().get(f"/docs/errors/{code}")
        assert page.status_code == 200
        assert f"<code>{code}</code>" in page.content.decode()


def test_the_reference_calls_no_other_host(db: None) -> None:
    page = Client().get("/docs/api/").content.decode()
    assert "swagger-ui" in page
    assert "http://" not in page
    assert "https://" not in page


def test_health_and_readiness_need_no_key(db: None) -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}
    ready = Client().get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": "ok", "redis": "ok", "migrations": "ok"}


def test_readiness_says_what_is_missing(db: None, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"].startswith("unreachable")
