"""What Schemathesis puts into its requests: mostly ids of records that are there, named in FUZZ_IDS."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import schemathesis

IDS: dict[str, list[str]] = json.loads(os.environ["FUZZ_IDS"])
"""Collection → ids."""
COLLECTIONS = {
    "payee_id": "payees",
    "payee_group_id": "payee-groups",
    "product_id": "products",
    "product_ids": "products",
    "partner_id": "partners",
    "partner_ids": "partners",
    "revenue_source_id": "revenue-sources",
    "revenue_source_ids": "revenue-sources",
    "revenue_id": "revenues",
    "rule_id": "rules",
    "revenue_ids": "revenues",
    "calculation_run_id": "calculation-runs",
    "exception_ids": "exceptions",
    "payout_ids": "payouts",
    "delivery_id": "deliveries",
}
"""Name of a field → collection it refers to."""
LEFT_AS_DRAWN = 5
"""One id in so many stays what it was: a record that is not there."""


def known(value: Any, collection: str) -> Any:
    """An id of the collection in place of a drawn one; anything that is no id stays."""
    try:
        number = UUID(value).int
    except (ValueError, TypeError, AttributeError):
        return value
    ids = IDS.get(collection, [])
    return value if not ids or number % LEFT_AS_DRAWN == 0 else ids[number % len(ids)]


def with_known_ids(document: Any, collection: str) -> Any:
    """A drawn document with known ids; `collection` is what `id` means in it."""
    if isinstance(document, list):
        return [with_known_ids(each, collection) for each in document]
    if not isinstance(document, dict):
        return document
    names = COLLECTIONS | {"id": collection}
    return {
        name: [known(each, names[name]) for each in value]
        if name in names and isinstance(value, list)
        else known(value, names[name])
        if name in names
        else with_known_ids(value, collection)
        for name, value in document.items()
    }


def collection_of(path: str) -> str:
    """`/api/v1/rules/{id}/versions` → rules."""
    parts: Sequence[str] = path.strip("/").split("/")
    return next(part for part in parts if part not in {"api", "v1"})


@schemathesis.hook
def map_path_parameters(ctx: Any, path_parameters: Any) -> Any:
    """Ids in the path."""
    return path_parameters and with_known_ids(path_parameters, collection_of(ctx.operation.path))


@schemathesis.hook
def map_query(ctx: Any, query: Any) -> Any:
    """Ids that are filtered by, and a period whose days the calendar has."""
    if query and _TWO_DATES.fullmatch(str(query.get("period", ""))):
        query["period"] = "2026-05-01,2026-05-31"
    return query and with_known_ids(query, "")


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    """Without a cursor that fits its schema: nobody signed it."""
    if case.query and case.meta.generation.mode.is_positive:
        case.query.pop("cursor", None)


@schemathesis.hook
def map_body(ctx: Any, body: Any) -> Any:
    """Ids in the body."""
    return with_known_ids(body, collection_of(ctx.operation.path))


@schemathesis.hook
def map_headers(ctx: Any, headers: Any) -> Any:
    """The key's own workspace, a key of idempotency that no other request has, and mostly no wrong ETag."""
    if not headers:
        return headers
    own = {name.lower(): name for name in headers}
    if "x-workspace-id" in own:
        headers[own["x-workspace-id"]] = known(headers[own["x-workspace-id"]], "workspaces")
    if "idempotency-key" in own and _KEY.fullmatch(headers[own["idempotency-key"]]):
        headers[own["idempotency-key"]] = str(uuid4())
    if "if-match" in own and len(headers[own["if-match"]]) % LEFT_AS_DRAWN:
        del headers[own["if-match"]]
    return headers


_TWO_DATES = re.compile(r"\d{4}-\d\d-\d\d,\d{4}-\d\d-\d\d")
_KEY = re.compile("[!-~]([ -~]{0,253}[!-~])?")
