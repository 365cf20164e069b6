"""One Idempotency-Key, many clients at once: one effect, and no two different answers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from partners.models import Payee
from tests.http import ApiClient

pytestmark = [pytest.mark.reliability, pytest.mark.django_db(transaction=True)]

CLIENTS, ROUNDS = 64, 3


def test_sixty_four_equal_calls_at_once_have_one_effect(api: ApiClient) -> None:
    for number in range(ROUNDS):
        headers = {"Idempotency_Key": f"round-{number}"}
        answers = post_together(api.key, "/api/v1/payees", {"name": f"Payee {number}"}, headers)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_progress"}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert Payee.objects.filter(name=f"Payee {number}").count() == 1


def test_first_upserts_of_one_record_at_once_make_one_record(api: ApiClient) -> None:
    record = {"external_id": "p", "name": "P", "operation": "create_or_update"}
    answers = post_together(api.key, "/api/v1/payees/upsert", record, {})
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert Payee.objects.count() == 1


def post_together(key: str, path: str, document: dict[str, str], headers: dict[str, str]) -> list[Any]:
    """Answers to the same call made by every client at the same moment, each on a connection of its own."""
    barrier = Barrier(CLIENTS)

    def post(_: int) -> Any:
        barrier.wait()
        try:
            return ApiClient(key).post(path, document, **headers)
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(post, range(CLIENTS)))
