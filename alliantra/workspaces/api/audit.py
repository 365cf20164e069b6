"""`/v1/audit`: who changed what, when and from where."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra.api import fields
from alliantra.api.filters import DateFilter, ReferenceFilter, StrictFilterSet, TextFilter, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.viewsets import ReadViews
from alliantra.workspaces.models import AuditEntry, Workspace

ACTOR_KINDS = ("api_key", "member", "system")
VALUES: dict[str, Any] = {"type": "object", "additionalProperties": True}


@extend_schema_field(VALUES)
class ValuesField(serializers.JSONField):
    """Names of columns with their values; null where there was nothing."""


class AuditActorSerializer(serializers.Serializer[Any]):
    """Who acted: an API key, a member in the console, or the system by itself."""

    kind = serializers.ChoiceField(choices=ACTOR_KINDS, source="actor_kind")
    id = serializers.UUIDField(source="actor_id", allow_null=True)
    name = serializers.CharField(source="actor_name", help_text="As it was then.")


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One change: what was done to which object, by whom, and what differed."""

    id = serializers.UUIDField()
    action = serializers.CharField(help_text="Such as `rule.updated`.")
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField(help_text="As it was then.")
    actor = AuditActorSerializer(source="*")
    address = serializers.CharField(allow_null=True, help_text="Where the request came from.")
    request_id = serializers.CharField(help_text="The `X-Request-ID` of the request.")
    before = ValuesField(allow_null=True)
    after = ValuesField(allow_null=True)
    created_at = fields.TimeField()


class DayFilter(DateFilter):
    """A day in the workspace's time zone: from its first moment, or with `is_last` up to the first of the next."""

    def __init__(self, *, is_last: bool = False) -> None:
        super().__init__()
        self.is_last = is_last

    def filter(self, qs: QuerySet[Any], value: date | None) -> QuerySet[Any]:
        """Entries on the right side of the day."""
        if value is None:
            return qs
        workspace: Workspace = self.parent.request.user.workspace
        return (
            qs.filter(created_at__lt=_end(workspace, value))
            if self.is_last
            else qs.filter(created_at__gte=workspace.day_start(value))
        )


def _end(workspace: Workspace, day: date) -> datetime:
    return workspace.day_start(day + timedelta(days=1))


class AuditFilter(StrictFilterSet):
    """Filters of the audit log."""

    action = TextFilter()
    object_type = TextFilter()
    object_id = TextFilter()
    actor_id = ReferenceFilter()
    date_from = DayFilter()
    date_to = DayFilter(is_last=True)
    updated_since = UpdatedSinceFilter("created_at")


class AuditViews(ReadViews):
    """Every change that people, keys and jobs make is kept here for ever, in the transaction of the change.

    The newest comes first; with `updated_since` the oldest, so that a pull can go on where the last one ended.
    """

    model = AuditEntry
    resource = "audit"
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
    paging = ChangeCursors("-created_at", "-id", changes=("created_at", "id"))
    example = {
        "action": "payee.updated",
        "object_type": "payee",
        "object_id": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f70",
        "object_name": "Lighthouse Reviews Ltd",
        "actor": {"kind": "api_key", "id": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f71", "name": "Billing"},
        "address": "203.0.113.7",
        "request_id": "4f3c2a1b",
        "before": {"on_hold": False},
        "after": {"on_hold": True},
    }

    def etag(self, row: AuditEntry) -> str:
        """Entries never change."""
        return f'"{row.pk.hex}"'
