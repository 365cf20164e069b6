"""Every route of `/api/v1`, the payout surface, on one screen."""

from collections.abc import Mapping
from types import MappingProxyType

from django.urls import URLPattern, path

from alliantra.api.ping import PingViews
from alliantra.api.viewsets import ConfigurationViews
from partners.api.payee_groups import PayeeGroupViews
from partners.api.payees import PayeeViews
from revenues.api.import_problems import ImportProblemViews
from revenues.api.import_templates import ImportTemplateViews
from revenues.api.imports import ImportUploadViews, ImportViews
from revenues.api.product_mappings import ProductMappingViews
from revenues.api.products import ProductViews
from revenues.api.revenue_sources import RevenueSourceViews
from revenues.api.revenues import RevenueViews
from rules.api.explanations import ItemExplanationViews, RevenueExplanationViews
from rules.api.payouts import ConfirmationViews, PayoutExportViews, PayoutReviewViews, ReconciliationViews
from rules.api.rules import RuleViews
from rules.api.run_reviews import RunReviewViews
from rules.api.runs import RunItemViews, RunSummaryViews, RunViews
from rules.api.simulations import SimulationViews
from rules.api.statements import (
    BalanceEntryViews,
    BalanceViews,
    ClosePackageViews,
    DisputeKitViews,
    RunStatementViews,
    StatementDocumentViews,
    StatementViews,
)

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


def configuration(
    resource: str,
    views: type[ConfigurationViews],
    one: Mapping[str, str] = NOTHING_MORE,
    batch: Mapping[str, str] = NOTHING_MORE,
) -> list[URLPattern]:
    """The verbs that payees, products and rules share; `one` and `batch` add more for a record and for many."""
    return [
        path(f"api/v1/{resource}", views.as_view({"get": "list", "post": "create"})),
        path(f"api/v1/{resource}/upsert", views.as_view({"post": "upsert"})),
        path(f"api/v1/{resource}/batch", views.as_view({"post": "batch_create", "put": "batch_update", **batch})),
        path(f"api/v1/{resource}/batch/upsert", views.as_view({"post": "batch_upsert"})),
        path(f"api/v1/{resource}/<uuid:id>", views.as_view({"get": "retrieve", "put": "update", **one})),
    ]


urlpatterns: list[URLPattern] = [
    path("api/allocora/ping", PingViews.as_view({"get": "ping"})),
    *configuration("payees", PayeeViews),
    *configuration("payee-groups", PayeeGroupViews),
    *configuration("products", ProductViews, {"delete": "destroy"}, {"delete": "batch_destroy"}),
    path("api/v1/revenue-sources", RevenueSourceViews.as_view({"get": "list", "post": "create"})),
    path("api/v1/revenue-sources/<uuid:id>", RevenueSourceViews.as_view({"get": "retrieve", "put": "update"})),
    path("api/v1/product-mappings", ProductMappingViews.as_view({"get": "list", "post": "create"})),
    path("api/v1/revenues", RevenueViews.as_view({"get": "list", "post": "create"})),
    path("api/v1/revenues/batch", RevenueViews.as_view({"post": "batch_create"})),
    path("api/v1/revenues/<uuid:id>", RevenueViews.as_view({"get": "retrieve"})),
    path("api/v1/revenues/<uuid:id>/explanation", RevenueExplanationViews.as_view({"get": "explanation"})),
    path("api/v1/imports", ImportUploadViews.as_view({"get": "list", "post": "create"})),
    path("api/v1/imports/templates", ImportTemplateViews.as_view({"get": "templates"})),
    path("api/v1/imports/templates/<slug:key>/sample", ImportTemplateViews.as_view({"get": "sample"})),
    path("api/v1/imports/<uuid:id>", ImportViews.as_view({"get": "retrieve", "put": "update"})),
    path("api/v1/imports/<uuid:id>/confirm", ImportViews.as_view({"post": "confirm"})),
    path("api/v1/imports/<uuid:id>/cancel", ImportViews.as_view({"post": "cancel"})),
    path("api/v1/imports/<uuid:id>/problems", ImportProblemViews.as_view({"get": "problems"})),
    *configuration("rules", RuleViews),
    path("api/v1/rules/conflicts", RuleViews.as_view({"get": "conflicts"})),
    path("api/v1/rules/simulate", SimulationViews.as_view({"post": "simulate"})),
    path("api/v1/rules/<uuid:id>/toggle-status", RuleViews.as_view({"post": "toggle_status"})),
    path("api/v1/rules/<uuid:id>/versions", RuleViews.as_view({"get": "versions"})),
    path("api/v1/rules/<uuid:id>/versions/<int:version>", RuleViews.as_view({"get": "version"})),
    path("api/v1/calculation-runs", RunViews.as_view({"get": "list", "post": "create"})),
    path("api/v1/calculation-runs/<uuid:id>", RunViews.as_view({"get": "retrieve"})),
    path("api/v1/calculation-runs/<uuid:id>/recalculate", RunViews.as_view({"post": "recalculate"})),
    path("api/v1/calculation-runs/<uuid:id>/approve", RunViews.as_view({"post": "approve"})),
    path("api/v1/calculation-runs/<uuid:id>/lock", RunViews.as_view({"post": "lock"})),
    path("api/v1/calculation-runs/<uuid:id>/void", RunViews.as_view({"post": "void"})),
    path("api/v1/calculation-runs/<uuid:id>/readiness", RunReviewViews.as_view({"get": "readiness"})),
    path("api/v1/calculation-runs/<uuid:id>/verification", RunReviewViews.as_view({"get": "verification"})),
    path("api/v1/calculation-runs/<uuid:id>/items", RunItemViews.as_view({"get": "items"})),
    path("api/v1/calculation-runs/<uuid:id>/payees", RunSummaryViews.as_view({"get": "payees"})),
    path("api/v1/calculation-runs/<uuid:id>/exceptions", RunSummaryViews.as_view({"get": "exceptions"})),
    path("api/v1/calculation-runs/<uuid:id>/exceptions/decide", RunReviewViews.as_view({"post": "decide"})),
    path("api/v1/calculation-runs/<uuid:id>/adjustments", RunSummaryViews.as_view({"get": "adjustments"})),
    path("api/v1/calculation-runs/<uuid:id>/payout-review", PayoutReviewViews.as_view({"get": "payout_review"})),
    path("api/v1/calculation-runs/<uuid:id>/statements", RunStatementViews.as_view({"get": "statements"})),
    path("api/v1/calculation-runs/<uuid:id>/export", PayoutExportViews.as_view({"get": "export"})),
    path("api/v1/calculation-runs/<uuid:id>/confirmations", ConfirmationViews.as_view({"post": "confirmations"})),
    path("api/v1/calculation-runs/<uuid:id>/reconciliation", ReconciliationViews.as_view({"get": "reconciliation"})),
    path("api/v1/calculation-runs/<uuid:id>/reconciliation/resolve", ReconciliationViews.as_view({"post": "resolve"})),
    path("api/v1/calculation-items/<uuid:id>/explanation", ItemExplanationViews.as_view({"get": "explanation"})),
    path("api/v1/statements", StatementViews.as_view({"get": "list"})),
    path("api/v1/statements/<uuid:id>", StatementViews.as_view({"get": "retrieve"})),
    path("api/v1/statements/<uuid:id>/document", StatementDocumentViews.as_view({"get": "document"})),
    path("api/v1/statements/<uuid:id>/dispute-kit", DisputeKitViews.as_view({"get": "dispute_kit"})),
    path("api/v1/calculation-runs/<uuid:id>/close-package", ClosePackageViews.as_view({"get": "close_package"})),
    path("api/v1/balances", BalanceViews.as_view({"get": "list"})),
    path("api/v1/balances/<uuid:id>/entries", BalanceEntryViews.as_view({"get": "entries"})),
]
