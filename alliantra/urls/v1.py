"""Every route of `/v1`, the partner intelligence surface, on one screen."""

from django.urls import URLPattern, path

from partners.api.partners import PartnerViews
from revenues.api.events import EventViews, PaidEventViews

urlpatterns: list[URLPattern] = [
    path("v1/events", EventViews.as_view({"post": "create"})),
    path("v1/revenue", PaidEventViews.as_view({"post": "create"})),
    path("v1/partners", PartnerViews.as_view({"get": "list", "post": "create"})),
    path("v1/partners/import", PartnerViews.as_view({"post": "import_partners"})),
    path("v1/partners/<uuid:id>", PartnerViews.as_view({"get": "retrieve", "patch": "update"})),
]
