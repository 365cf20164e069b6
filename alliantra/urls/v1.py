"""Every route of `/v1`, the partner intelligence surface, on one screen."""

from django.urls import URLPattern, path

from alliantra.workspaces.api.audit import AuditViews
from partners.api.costs import CostViews
from partners.api.fx_rates import FxRateViews, MissingRateViews
from partners.api.imports import PartnerImportDoor, PartnerImportProblemViews, PartnerImportViews
from partners.api.partners import PartnerViews
from partners.api.status_changes import StatusChangeViews
from reports.api.report_schedules import ReportScheduleViews
from reports.api.reports import ReportViews
from revenues.api.event_reads import EventLogViews, PartnerEventViews
from revenues.api.events import PaidEventViews
from webhooks.api.deliveries import DeliveryLogViews, EndpointDeliveryViews
from webhooks.api.event_types import EventTypeViews
from webhooks.api.webhooks import EndpointViews

urlpatterns: list[URLPattern] = [
    path("v1/events", EventLogViews.as_view({"get": "list", "post": "create"})),
    path("v1/events/<uuid:id>", EventLogViews.as_view({"get": "retrieve"})),
    path("v1/revenue", PaidEventViews.as_view({"post": "create"})),
    path("v1/partners", PartnerViews.as_view({"get": "list", "post": "create"})),
    path("v1/partners/import", PartnerImportDoor.as_view({"post": "import_partners"})),
    path("v1/partners/<uuid:id>", PartnerViews.as_view({"get": "retrieve", "patch": "update"})),
    path("v1/partners/<uuid:id>/status-changes", StatusChangeViews.as_view({"get": "status_changes"})),
    path("v1/reports", ReportViews.as_view({"get": "live", "post": "create"})),
    path("v1/reports/roi", ReportViews.as_view({"get": "roi"})),
    path("v1/reports/forecast", ReportViews.as_view({"get": "forecast"})),
    path("v1/reports/<uuid:id>", ReportViews.as_view({"get": "retrieve"})),
    path("v1/report-schedules", ReportScheduleViews.as_view({"get": "list", "post": "create"})),
    path(
        "v1/report-schedules/<uuid:id>",
        ReportScheduleViews.as_view({"get": "retrieve", "patch": "update", "delete": "remove"}),
    ),
    path("v1/report-schedules/<uuid:id>/run", ReportScheduleViews.as_view({"post": "run"})),
    path("v1/imports", PartnerImportViews.as_view({"get": "list"})),
    path("v1/imports/<uuid:id>", PartnerImportViews.as_view({"get": "retrieve"})),
    path("v1/imports/<uuid:id>/problems", PartnerImportProblemViews.as_view({"get": "problems"})),
    path("v1/costs", CostViews.as_view({"get": "list", "post": "create"})),
    path("v1/costs/<uuid:id>", CostViews.as_view({"get": "retrieve", "patch": "update", "delete": "remove"})),
    path("v1/fx-rates", FxRateViews.as_view({"get": "list", "post": "create"})),
    path("v1/fx-rates/missing", MissingRateViews.as_view({"get": "missing"})),
    path("v1/fx-rates/<uuid:id>", FxRateViews.as_view({"get": "retrieve", "delete": "remove"})),
    path("v1/audit", AuditViews.as_view({"get": "list"})),
    path("v1/audit/<uuid:id>", AuditViews.as_view({"get": "retrieve"})),
    path("v1/partners/<uuid:id>/events", PartnerEventViews.as_view({"get": "events"})),
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
