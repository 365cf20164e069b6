"""Batches of configuration records: the single-record call in a loop, a savepoint per record."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from rest_framework.request import Request

from alliantra.api.errors import as_domain_error, problem_document
from alliantra.errors import DomainError

BATCH_LIMIT = 100


def batch_records(document: Any, limit: int = BATCH_LIMIT) -> list[Any]:
    """The `records` of a body. Raises invalid or batch_limit."""
    if not isinstance(document, dict) or not isinstance(document.get("records"), list):
        raise DomainError("batch_limit", 'The body must be {"records": [...]}.')
    if strangers := sorted(set(document) - {"records"}):
        raise DomainError("batch_limit", f'The body has members beside "records": {", ".join(strangers)[:200]}.')
    records: list[Any] = document["records"]
    if not 1 <= len(records) <= limit:
        raise DomainError("batch_limit", f"A batch has 1 to {limit:,} records, not {len(records):,}.")
    return records


def run_batch(
    records: list[Any],
    act: Callable[[Any], tuple[int, Any]],
    request: Request,
    limit: int = BATCH_LIMIT,
) -> dict[str, Any]:
    """The answer to a batch. `act` takes a record and gives status and body; each lands or fails alone."""
    return _answer([_result(index, record, act, request) for index, record in enumerate(records)], limit)


def answered_batch(
    outcomes: Iterable[tuple[int, Any] | DomainError], request: Request, limit: int = BATCH_LIMIT
) -> dict[str, Any]:
    """The answer to a batch that was written all at once: for each record status and body, or its refusal."""
    return _answer(
        [
            _refused(index, outcome, request)
            if isinstance(outcome, DomainError)
            else {"index": index, "success": True, "status": outcome[0], "response": outcome[1]}
            for index, outcome in enumerate(outcomes)
        ],
        limit,
    )


def _answer(results: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    succeeded = sum(result["success"] for result in results)
    meta = {"processed": len(results), "succeeded": succeeded, "failed": len(results) - succeeded, "limit": limit}
    return {"data": results, "meta": meta}


def _result(index: int, record: Any, act: Callable[[Any], tuple[int, Any]], request: Request) -> dict[str, Any]:
    try:
        with transaction.atomic():
            status, body = act(record)
    except Exception as exception:
        error = as_domain_error(exception)
        if error.problem.status >= 500:
            raise
        return _refused(index, error, request)
    return {"index": index, "success": True, "status": status, "response": body}


def _refused(index: int, error: DomainError, request: Request) -> dict[str, Any]:
    problem = problem_document(error, request)
    return {"index": index, "success": False, "status": problem["status"], "response": problem}
