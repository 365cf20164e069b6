"""The rows and totals of a report, worked out from the figures of now; nothing is stored here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from alliantra.money import CONTEXT, STORED_QUANTUM
from alliantra.workspaces.models import Workspace
from partners.models import Partner, PartnerMetrics
from reports.models import ReportGroup, ReportType
from revenues.figures import Figures, Filters, costs_as_of, figures_by

NAMED_AT_MOST: Final = 500
FILTERS: Final = ("partner_id", "channel", "program", "region")
FIGURES: Final = (
    "revenue",
    "revenue_attributed",
    "cost",
    "roi",
    "growth",
    "sales",
    "refunds",
    "refund_rate",
    "conversions",
    "registrations",
    "events",
    "unconverted_events",
)
_COUNTS: Final = {"conversions", "registrations", "events", "unconverted"}
_GROUP_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    ReportGroup.PARTNER: ("partner_id", "partner_external_id", "partner_name", "status")
}

Row = dict[str, Any]
Number = Decimal | int


@dataclass(frozen=True, slots=True)
class Question:
    """What a report answers, days inclusive. `filters` holds those of FILTERS that are set, canonical."""

    type: str
    group_by: str
    first: date
    last: date
    model: str
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows with the columns of `columns`, their totals, and as of when the costs in them are."""

    rows: list[Row]
    totals: dict[str, Any]
    cost_as_of: datetime | None


def default_group(report_type: str) -> str:
    """What a report has one row for unless it is told otherwise."""
    return ReportGroup.CHANNEL.value if report_type == ReportType.CHANNEL_BREAKDOWN else ReportGroup.PARTNER.value


def columns(report_type: str, group_by: str) -> list[str]:
    """Names of the columns of every row of a report, in their order."""
    ranking = report_type == ReportType.PARTNER_RANKING
    return [
        *(["rank"] if ranking else []),
        *group_columns(group_by),
        *FIGURES,
        *(["share"] if ranking or report_type == ReportType.CHANNEL_BREAKDOWN else []),
        *(["score"] if ranking and group_by == ReportGroup.PARTNER else []),
        "updated_at",
    ]


def group_columns(group_by: str) -> Sequence[str]:
    """Columns that say what a row is of; the first one names it among its report's rows."""
    return _GROUP_COLUMNS.get(group_by, (group_by,))


def build(workspace: Workspace, question: Question, *, now: datetime) -> Answer:
    """Answer a question from what is committed now; every row's `updated_at` is `now`."""
    filters = _figure_filters(question.filters)
    span: Any = {"first": question.first, "last": question.last, "model": question.model, "filters": filters}
    found = figures_by(workspace, question.group_by, **span)
    total = _sum(found.values())
    if question.group_by == ReportGroup.MONTH:
        # What precedes a month is another month of the report, not the period before it.
        whole = figures_by(workspace, "total", **span).get(None)
        total = replace(total, previous_revenue=whole.previous_revenue if whole else Decimal(0))
    described = _described(workspace, question, found)
    rows = [{**described[key], **_numbers(figures)} for key, figures in found.items()]
    if question.type != ReportType.ROI:
        _add_shares(rows, total.revenue)
    rows = _ordered(rows, question)
    if question.type == ReportType.PARTNER_RANKING:
        _add_ranks(rows)
    for row in rows:
        row["updated_at"] = now.isoformat()
    totals = {**_numbers(total), "currency": workspace.base_currency}
    return Answer(rows, totals, costs_as_of(workspace))


def _figure_filters(filters: Mapping[str, str]) -> Filters:
    """Filters as figures take them. A partner of another workspace brought nothing here."""
    partner = filters.get("partner_id")
    named = {name: filters.get(name) for name in ("channel", "program", "region")}
    return Filters(partner_ids=None if partner is None else (UUID(partner),), **named)


def canonical(filters: Mapping[str, str]) -> dict[str, str]:
    """The same filters in the one way in which they are kept. Raises ValueError for a partner_id that is no id."""
    identity = {"partner_id": str(UUID(filters["partner_id"]))} if "partner_id" in filters else {}
    return dict(sorted({**filters, **identity}.items()))


# -- numbers ---------------------------------------------------------------------------------------


def plain(value: Decimal | int | None) -> Number | None:
    """As it is stored and shown: whole numbers as int, others without trailing zeros."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value == value.to_integral_value() else value.normalize(CONTEXT)


def _numbers(figures: Figures) -> Row:
    names = {"unconverted_events": "unconverted"}
    return {name: plain(getattr(figures, names.get(name, name))) for name in FIGURES}


def _sum(parts: Iterable[Figures]) -> Figures:
    """What groups come to together: so totals are the sums of the rows to the last digit."""
    parts = list(parts)
    values = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Figures)}
    sums: Any = {
        name: sum(each) if name in _COUNTS else reduce(CONTEXT.add, each, Decimal(0)) for name, each in values.items()
    }
    return Figures(**sums)


def emptied(row: Row, *, now: datetime) -> Row:
    """The row of a group that has nothing left, whose `updated_at` is `now`."""
    places: Row = {name: None for name in ("rank", "share") if name in row}
    return {**row, **_numbers(_sum(())), **places, "updated_at": now.isoformat()}


def _add_shares(rows: Iterable[Row], revenue: Number) -> None:
    """What part of all revenue each row is; null where there is none."""
    for row in rows:
        share = CONTEXT.divide(Decimal(row["revenue"]), Decimal(revenue)) if revenue else None
        row["share"] = plain(None if share is None else share.quantize(STORED_QUANTUM, context=CONTEXT))


# -- groups ----------------------------------------------------------------------------------------


def _described(workspace: Workspace, question: Question, found: Mapping[Any, Figures]) -> dict[Any, Row]:
    """Key of a group → its columns."""
    if question.group_by == ReportGroup.PARTNER:
        return _described_partners(workspace, found, with_score=question.type == ReportType.PARTNER_RANKING)
    if question.group_by == ReportGroup.MONTH:
        return {month: {"month": f"{month:%Y-%m}"} for month in found}
    return {text: {question.group_by: text or None} for text in found}


def _described_partners(workspace: Workspace, found: Mapping[Any, Figures], *, with_score: bool) -> dict[Any, Row]:
    wanted = [identity for identity in found if identity is not None]
    shown = _narrowed(Partner.objects.in_workspace(workspace), "pk", wanted)
    described: dict[Any, Row] = {None: dict.fromkeys(group_columns(ReportGroup.PARTNER))}
    for identity, *values in shown.values_list("pk", "external_id", "name", "status"):
        described[identity] = dict(zip(group_columns(ReportGroup.PARTNER), (str(identity), *values), strict=True))
    if with_score:
        scores = _narrowed(PartnerMetrics.objects.in_workspace(workspace), "partner", wanted)
        scored = dict(scores.values_list("partner_id", "score"))
        for identity, row in described.items():
            row["score"] = plain(scored.get(identity))
    return described


def _narrowed(rows: QuerySet[Any], column: str, wanted: Sequence[UUID]) -> QuerySet[Any]:
    """Rows of the wanted ones; of many, simply all: naming thousands costs more than reading them."""
    return rows.filter(**{f"{column}__in": wanted}) if len(wanted) <= NAMED_AT_MOST else rows


# -- order -----------------------------------------------------------------------------------------


def _ordered(rows: list[Row], question: Question) -> list[Row]:
    """Months as time goes; others by roi or revenue, the highest first; what has none, and nobody's rows, last."""
    if question.group_by == ReportGroup.MONTH:
        return sorted(rows, key=itemgetter("month"))
    key = group_columns(question.group_by)[0]
    name = "partner_name" if question.group_by == ReportGroup.PARTNER else key
    # Equals stand in an order that is always the same.
    rows = sorted(rows, key=lambda row: (row[key] is None, row[name] or "", row[key] or ""))
    rows.sort(key=itemgetter("revenue"), reverse=True)
    if question.type == ReportType.ROI:
        rows.sort(key=lambda row: (row["roi"] is None, -(row["roi"] or 0)))
    elif question.type == ReportType.PARTNER_RANKING and question.group_by == ReportGroup.PARTNER:
        rows.sort(key=_is_nobody)
    return rows


def _add_ranks(rows: Iterable[Row]) -> None:
    """1 for the most revenue; equals share a rank, and the next is as far down as it stands. Nobody has none."""
    ranks: dict[Number, int] = {}
    ranked = sorted((row for row in rows if not _is_nobody(row)), key=itemgetter("revenue"), reverse=True)
    for place, row in enumerate(ranked, start=1):
        ranks.setdefault(row["revenue"], place)
    for row in rows:
        row["rank"] = None if _is_nobody(row) else ranks[row["revenue"]]


def _is_nobody(row: Row) -> bool:
    """Whether a row is of what no partner brought."""
    return row.get("partner_id", "") is None
