"""Every route of `/api/v1`, the payout surface, on one screen."""

from django.urls import URLPattern, path

from alliantra.api.ping import PingViews
from alliantra.api.viewsets import ConfigurationViews
from partners.api.payees import PayeeViews


def configuration(resource: str, views: type[ConfigurationViews]) -> list[URLPattern]:
    """The verbs that payees, products and rules share."""
    return [
        path(f"api/v1/{resource}", views.as_view({"get": "list", "post": "create"})),
        path(f"api/v1/{resource}/upsert", views.as_view({"post": "upsert"})),
        path(f"api/v1/{resource}/batch", views.as_view({"post": "batch_create", "put": "batch_update"})),
        path(f"api/v1/{resource}/batch/upsert", views.as_view({"post": "batch_upsert"})),
        path(f"api/v1/{resource}/<uuid:id>", views.as_view({"get": "retrieve", "put": "update"})),
    ]


urlpatterns: list[URLPattern] = [
    path("api/allocora/ping", PingViews.as_view({"get": "ping"})),
    *configuration("payees", PayeeViews),
]
