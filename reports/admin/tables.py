"""Reports as tables: the stored numbers, written as the console writes amounts, ratios and counts."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.core.paginator import Paginator
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.paging import page_links
from partners.models import Partner
from reports.building import FIGURES, columns
from reports.models import Report, ReportGroup

ROWS_SHOWN: Final = 100
LABELS: Final[Mapping[str, str]] = {
    "partner_name": "Partner",
    "revenue_attributed": "Attributed",
    "unconverted_events": "Without a rate",
    "roi": "ROI",
    "refund_rate": "Refund rate",
}
RATIOS: Final = {"roi", "growth", "refund_rate", "share"}
AMOUNTS: Final = {"revenue", "revenue_attributed", "sales", "refunds", "cost"}
_NOT_SHOWN: Final = {"partner_id", "partner_external_id", "updated_at"}
_TEXTS: Final = {"partner_name", "status", "channel", "program", "region", "month"}


class Column(NamedTuple):
    """A column of the table; figures stand to the right."""

    name: str
    label: str
    is_figure: bool


def shown_table(report: Report, query: QueryDict) -> dict[str, Any]:
    """Context of report_table.html: a page of the rows, and the totals of all."""
    currency = str(report.totals.get("currency", ""))
    shown = _columns(report)
    page = Paginator(report.rows, ROWS_SHOWN).get_page(query.get("p"))
    first = 1 if shown[0].name != "rank" else 2
    totals = {name: report.totals.get(name) for name in FIGURES}
    return {
        "report": report,
        "kind": report.get_type_display(),
        "columns": shown,
        "rows": [[(column, cell(column.name, row, currency)) for column in shown] for row in page],
        "row_count": len(report.rows),
        "totals": [(column, _total(column, totals, currency)) for column in shown[first:]],
        "totals_span": first,
        "pages": page_links(page, "p", query, anchor="rows"),
        "currency": currency,
        "unconverted": report.totals.get("unconverted_events") or 0,
    }


def _columns(report: Report) -> Sequence[Column]:
    named = [name for name in columns(report.type, report.group_by) if name not in _NOT_SHOWN]
    return [Column(name, LABELS.get(name, name.replace("_", " ").capitalize()), name not in _TEXTS) for name in named]


def _total(column: Column, totals: Mapping[str, Any], currency: str) -> SafeString | str:
    return cell(column.name, totals, currency) if column.name in totals else ""


def cell(name: str, row: Mapping[str, Any], currency: str) -> SafeString | str:
    """One number, or what a row is of."""
    value = row[name]
    if name == "partner_name":
        return display.link(Partner(pk=row["partner_id"]), value) if row["partner_id"] else _none("no partner")
    if name == "status":
        return display.badge(value) if value else ""
    if name in _TEXTS:
        return str(value) if value else _none("none")
    if name in AMOUNTS:
        return display.bare_amount(None if value is None else Decimal(value), currency)
    if name in RATIOS:
        return display.share(None if value is None else Decimal(value), is_change=name == "growth")
    return display.quantity(value)


def _none(text: str) -> SafeString:
    return format_html('<span class="quiet">{}</span>', text)


def narrowed_to(report_filters: Mapping[str, str], partner_name: str = "") -> list[tuple[str, str]]:
    """Filters in words."""
    names = {"partner_id": "Partner"}
    return [
        (names.get(name, name.capitalize()), partner_name if name == "partner_id" and partner_name else value)
        for name, value in report_filters.items()
    ]


def group_label(report: Any) -> str:
    """What there is a row for."""
    return ReportGroup(report.group_by).label.lower() if report.group_by else ""
