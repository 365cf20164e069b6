"""What can be announced: the seven event types, and the JSON Schema of what each carries."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import models


class EventType(models.TextChoices):
    """What endpoints can be told of; `test` only by the test delivery."""

    PARTNER_STATUS_CHANGED = "partner.status_changed"
    RECOMMENDATION_CREATED = "ai.recommendation_created"
    REPORT_READY = "report.ready"
    ANOMALY_DETECTED = "revenue.anomaly_detected"
    RUN_LOCKED = "run.locked"
    STATEMENT_READY = "statement.ready"
    RULE_UPDATED = "rule.updated"
    TEST = "webhook.test"


SUBSCRIBABLE: Final = tuple(kind for kind in EventType if kind is not EventType.TEST)

_ID: Final = {"type": "string", "format": "uuid"}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_AMOUNT: Final = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_DAY: Final = {"type": "string", "format": "date"}
_TIME: Final = {"type": "string", "format": "date-time"}
_NULLABLE: Final = {"type": ["string", "null"]}

_DATA: Final[Mapping[EventType, tuple[str, Mapping[str, Any]]]] = {
    EventType.PARTNER_STATUS_CHANGED: (
        "The health status of a partner changed.",
        {
            "id": _ID,
            "external_id": _NULLABLE,
            "name": _TEXT,
            "previous_status": _TEXT,
            "status": _TEXT,
            "changed_at": _TIME,
        },
    ),
    EventType.RECOMMENDATION_CREATED: (
        "There is a new recommendation.",
        {"id": _ID, "kind": _TEXT, "title": _TEXT, "partner_id": {"type": ["string", "null"]}, "created_at": _TIME},
    ),
    EventType.REPORT_READY: (
        "A report that was asked for, or scheduled, is there.",
        {"id": _ID, "report_type": _TEXT, "group_by": _TEXT, "period": _TEXT, "format": _TEXT, "computed_at": _TIME},
    ),
    EventType.ANOMALY_DETECTED: (
        "Revenue deviates from what was to be expected.",
        {
            "id": _ID,
            "partner_id": {"type": ["string", "null"]},
            "metric": _TEXT,
            "day": _DAY,
            "expected": _AMOUNT,
            "actual": _AMOUNT,
            "severity": _TEXT,
        },
    ),
    EventType.RUN_LOCKED: (
        "A calculation run was closed for ever.",
        {
            "id": _ID,
            "number": _NUMBER,
            "period_start": _DAY,
            "period_end": _DAY,
            "currency": _TEXT,
            "allocated_total": _AMOUNT,
            "adjustments_total": _AMOUNT,
            "digest": _TEXT,
            "statements": _NUMBER,
        },
    ),
    EventType.STATEMENT_READY: (
        "A payee has a new statement.",
        {
            "id": _ID,
            "number": _NUMBER,
            "calculation_run_id": _ID,
            "payee_id": _ID,
            "payee_external_id": _NULLABLE,
            "currency": _TEXT,
            "calculated_total": _AMOUNT,
            "closing_balance": _AMOUNT,
        },
    ),
    EventType.RULE_UPDATED: (
        "A rule has a new version; the first one included.",
        {
            "id": _ID,
            "external_id": _NULLABLE,
            "version": _NUMBER,
            "name": _TEXT,
            "status": _TEXT,
            "priority": _NUMBER,
            "allocation_type": _TEXT,
            "allocations": {"type": "array", "items": {"type": "object"}},
            "scope": {"type": "object"},
        },
    ),
    EventType.TEST: ("Somebody asked for a test delivery.", {"endpoint_id": _ID, "message": _TEXT}),
}


def description_of(event_type: EventType) -> str:
    """When it is announced, in a sentence."""
    return _DATA[event_type][0]


def schema_of(event_type: EventType) -> dict[str, Any]:
    """JSON Schema (2020-12) of the body of a message of this type. Later versions may add members."""
    description, properties = _DATA[event_type]
    data = {"type": "object", "required": sorted(properties), "properties": dict(properties)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event_type.value,
        "description": description,
        "type": "object",
        "required": ["type", "timestamp", "workspace_id", "data"],
        "properties": {
            "type": {"const": event_type.value},
            "timestamp": _TIME,
            "workspace_id": _ID,
            "data": data,
        },
    }
