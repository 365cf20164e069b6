"""The log of deliveries to an endpoint, and the page of one: what was sent, and every attempt to send it."""

from typing import Any, ClassVar, Final

import msgspec
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.forms import is_uuid
from alliantra.workspaces.console.paginator import CappedPaginator
from alliantra.workspaces.console.paging import page_links
from webhooks import services
from webhooks.admin.answers import answer_badge, delivery_badge
from webhooks.admin.commands import is_active
from webhooks.event_types import EventType, description_of
from webhooks.models import Delivery, DeliveryStatus, Endpoint
from webhooks.queue import body_of
from webhooks.retries import ATTEMPTS

DELIVERIES_SHOWN: Final = 25
ATTEMPTS_SHOWN: Final = 100
EXCERPT_IN_A_LINE: Final = 100
STATUSES: Final = (("", "All deliveries"), *((status.value, status.value.capitalize()) for status in DeliveryStatus))


def delivery_log(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    """A page of the deliveries to an endpoint, the newest first; `status` in the address narrows it."""
    asked = request.GET.get("status", "")
    rows = Delivery.objects.in_workspace(endpoint.workspace).filter(endpoint=endpoint)
    if asked in DeliveryStatus.values:
        rows = rows.filter(status=asked)
    newest = rows.select_related("message").defer("message__payload").order_by("-created_at", "-id")
    paginator = CappedPaginator(newest, DELIVERIES_SHOWN)
    page = paginator.get_page(request.GET.get("p"))
    return {
        "statuses": STATUSES,
        "asked": asked,
        "deliveries": [_line(row) for row in page],
        "count": f"more than {paginator.count:,}" if paginator.is_capped else f"{paginator.count:,}",
        "pages": page_links(page, "p", request.GET, anchor="deliveries"),
        "most_attempts": ATTEMPTS,
    }


def _line(row: Delivery) -> dict[str, Any]:
    return {
        "row": row,
        "address": display.page_address(row),
        "status": delivery_badge(row.status),
        "answer": answer_badge(row.last_status_code, row.last_error),
    }


def _redeliver(row: Delivery, actor: Actor) -> str:
    services.redeliver(row, actor=actor)
    return "The message is on its way once more. Load this page again to see what came of it."


@admin.register(Delivery)
class DeliveryAdmin(ConsoleAdmin[Delivery]):
    """Deliveries; their list stands on the page of their endpoint."""

    resource = "webhooks"
    list_select_related: ClassVar[Any] = ("endpoint", "message")
    ordering: ClassVar[Any] = ("-created_at", "-id")
    commands = (
        Command(
            "redeliver",
            "Redeliver",
            _redeliver,
            icon="replay",
            is_available=lambda delivery: is_active(delivery.endpoint),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Deliveries to endpoints that were not deleted, with endpoint and message."""
        rows = super().get_queryset(request).filter(endpoint__deleted_at=None)
        return rows.select_related("endpoint", "message")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The log on the page of the endpoint that the address names, or the endpoints to choose one from."""
        if not self.may_read(request):
            raise PermissionDenied
        given = request.GET.get("endpoint", "")
        if not is_uuid(given):
            return HttpResponseRedirect(reverse("admin:webhooks_endpoint_changelist"))
        return HttpResponseRedirect(f"{display.page_address(Endpoint(pk=given))}#deliveries")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What was sent, and every attempt to send it."""
        delivery = self.readable_row(request, object_id)
        context = {
            "title": f"{delivery.message.event_type} to {delivery.endpoint}",
            "delivery": delivery,
            "original": delivery,
            "status": delivery_badge(delivery.status),
            "answer": answer_badge(delivery.last_status_code, delivery.last_error),
            "meaning": description_of(EventType(delivery.message.event_type)),
            "is_active": is_active(delivery.endpoint),
            "most_attempts": ATTEMPTS,
            "body": msgspec.json.format(body_of(delivery.message), indent=2).decode(),
            "attempts": attempts_of(delivery),
            "attempts_shown": ATTEMPTS_SHOWN,
            "commands": self.command_buttons(request, object_id),
            "history": self.history_address(request, delivery),
        }
        return self.page(request, "admin/console/webhook_delivery.html", context)


def attempts_of(delivery: Delivery) -> list[dict[str, Any]]:
    """The last attempts, the newest first."""
    tries = delivery.tries.filter(workspace=delivery.workspace_id).order_by("-started_at", "-number")
    return [
        {
            "row": row,
            "answer": answer_badge(row.status_code, row.error),
            "line": " ".join(row.response[: EXCERPT_IN_A_LINE + 1].split()),
            "is_long": len(row.response) > EXCERPT_IN_A_LINE,
        }
        for row in tries[:ATTEMPTS_SHOWN]
    ]
