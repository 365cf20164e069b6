"""Every route of `/v1`, the partner intelligence surface, on one screen."""

from django.urls import URLPattern, path

from partners.api.partners import PartnerViews
from revenues.api.events import EventViews, PaidEventViews
from webhooks.api.deliveries import DeliveryLogViews, EndpointDeliveryViews
from webhooks.api.event_types import EventTypeViews
from webhooks.api.webhooks import EndpointViews

urlpatterns: list[URLPattern] = [
    path("v1/events", EventViews.as_view({"post": "create"})),
    path("v1/revenue", PaidEventViews.as_view({"post": "create"})),
    path("v1/partners", PartnerViews.as_view({"get": "list", "post": "create"})),
    path("v1/partners/import", PartnerViews.as_view({"post": "import_partners"})),
    path("v1/partners/<uuid:id>", PartnerViews.as_view({"get": "retrieve", "patch": "update"})),
    path("v1/webhooks", EndpointViews.as_view({"get": "list", "post": "create"})),
    path("v1/webhooks/event-types", EventTypeViews.as_view({"get": "event_types"})),
    path(
        "v1/webhooks/<uuid:id>",
        EndpointViews.as_view({"get": "retrieve", "patch": "update", "delete": "remove"}),
    ),
    path("v1/webhooks/<uuid:id>/rotate-secret", EndpointViews.as_view({"post": "rotate_secret"})),
    path("v1/webhooks/<uuid:id>/enable", EndpointViews.as_view({"post": "enable"})),
    path("v1/webhooks/<uuid:id>/test", EndpointDeliveryViews.as_view({"post": "test"})),
    path("v1/webhooks/<uuid:id>/recover", EndpointDeliveryViews.as_view({"post": "recover"})),
    path("v1/webhooks/<uuid:id>/deliveries", DeliveryLogViews.as_view({"get": "deliveries"})),
    path("v1/webhooks/<uuid:id>/deliveries/<uuid:delivery_id>", EndpointDeliveryViews.as_view({"get": "delivery"})),
    path(
        "v1/webhooks/<uuid:id>/deliveries/<uuid:delivery_id>/redeliver",
        EndpointDeliveryViews.as_view({"post": "redeliver"}),
    ),
]
