"""What stands in the way of closing a run, and what somebody should look at first.

A blocker never stops calculating; it stops approving. A warning stops nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from partners.models import Payee, PayeeStatus
from revenues.models import ProductMapping, RevenueEvent, RevenueSource, RevenueType
from rules.conflicts import RuleConflict, rule_conflicts
from rules.ledger import within
from rules.models import CalculationException, CalculationRun, ExceptionCode, ExceptionDecision

SUBJECTS_SHOWN = 20


class Severity(StrEnum):
    """Whether a finding stops the approval."""

    BLOCKER = "blocker"
    WARNING = "warning"


class Subject(NamedTuple):
    """Something that a finding is about. `kind` says what `id` is the id of."""

    kind: str
    id: str
    name: str


class Finding(NamedTuple):
    """One thing to look at: how many of it there are, and the first SUBJECTS_SHOWN of them."""

    code: str
    severity: Severity
    total: int
    detail: str
    subjects: Sequence[Subject] = ()


def findings(run: CalculationRun) -> list[Finding]:
    """Blockers first. Before a run is calculated, what only its results can show is not among them."""
    found = [*_of_rules(run), *_of_rows(run)]
    if run.is_calculated:
        found += [*_of_results(run)]
    return sorted(found, key=lambda finding: finding.severity)


def blockers(run: CalculationRun) -> list[Finding]:
    """What stops the approval."""
    return [finding for finding in findings(run) if finding.severity is Severity.BLOCKER]


def open_exceptions(run: CalculationRun) -> QuerySet[CalculationException]:
    """Rows of the run that no rule took, and that nobody has settled, or accepted for this run."""
    decisions = ExceptionDecision.objects.filter(workspace=OuterRef("workspace"), event=OuterRef("event"))
    rows = CalculationException.objects.in_workspace(run.workspace).filter(run=run, code=ExceptionCode.UNALLOCATED)
    return rows.filter(~Exists(decisions.filter(_is_decided(run))))


def with_decisions(run: CalculationRun) -> QuerySet[CalculationException]:
    """All exceptions of a run, each with the `decision` about its row and the `reason`; null while it is open."""
    decided = ExceptionDecision.objects.filter(workspace=OuterRef("workspace"), event=OuterRef("event"))
    decided = decided.filter(_is_decided(run)).order_by("-kind")
    rows = CalculationException.objects.in_workspace(run.workspace).filter(run=run)
    return rows.annotate(decision=Subquery(decided.values("kind")[:1]), reason=Subquery(decided.values("reason")[:1]))


def _is_decided(run: CalculationRun) -> Q:
    """Settled for good, or accepted for this run."""
    return Q(kind=ExceptionDecision.Kind.SETTLED) | Q(kind=ExceptionDecision.Kind.ACCEPTED, run=run)


def _of_rules(run: CalculationRun) -> Iterator[Finding]:
    arbitrary = [each for each in rule_conflicts(run.workspace) if _decides_by_chance(each, run)]
    if arbitrary:
        subjects = [
            Subject("rule", str(each.loser.rule_id), f"{each.winner} and {each.loser}")
            for each in arbitrary[:SUBJECTS_SHOWN]
        ]
        detail = "Rules of equal priority and specificity can match the same row; give one of them priority."
        yield Finding("rule_conflict", Severity.BLOCKER, len(arbitrary), detail, subjects)


def _decides_by_chance(conflict: RuleConflict, run: CalculationRun) -> bool:
    """Whether nothing that people said decides, on some day of the run."""
    found = conflict.found
    starts = run.workspace.day_start(run.period_start)
    ends = run.workspace.day_start(_day_after(run.period_end))
    is_inside = (found.starts_at is None or found.starts_at < ends) and (
        found.ends_at is None or found.ends_at > starts
    )
    return found.is_arbitrary and is_inside


def _of_rows(run: CalculationRun) -> Iterator[Finding]:
    rows = within(run)
    mapping = ProductMapping.objects.in_workspace(run.workspace).filter(
        source=OuterRef("source"), external_product_identifier=OuterRef("external_product_identifier")
    )
    unmapped = rows.filter(~Exists(mapping), product=None).exclude(external_product_identifier="")
    names = unmapped.order_by().values_list("external_product_identifier", flat=True).distinct()
    if count := names.count():
        shown = names.order_by("external_product_identifier")[:SUBJECTS_SHOWN]
        subjects = [Subject("product_identifier", name, name) for name in shown]
        detail = "Product identifiers that match no product; rules for products do not see their rows."
        yield Finding("unmapped_products", Severity.WARNING, count, detail, subjects)
    yield from _of_currencies(run)
    yield from _of_sources(run, rows)
    if not run.is_calculated:
        yield from _of_lost_refunds(rows)


def _of_currencies(run: CalculationRun) -> Iterator[Finding]:
    others = RevenueEvent.objects.in_workspace(run.workspace).with_amount().exclude(currency=run.currency)
    others = others.occurred_between(run.workspace, run.period_start, run.period_end)
    if run.revenue_source_ids is not None:
        others = others.filter(source__in=run.revenue_source_ids)
    counts = list(others.order_by().values("currency").annotate(rows=Count("pk")).order_by("currency"))
    if counts:
        subjects = [
            Subject("currency", each["currency"], f"{each['rows']} row{'s' * (each['rows'] > 1)}") for each in counts
        ]
        detail = "Rows of the period in other currencies, which need runs of their own."
        yield Finding("other_currency", Severity.WARNING, sum(each["rows"] for each in counts), detail, subjects)


def _of_sources(run: CalculationRun, rows: QuerySet[RevenueEvent]) -> Iterator[Finding]:
    sources = RevenueSource.objects.in_workspace(run.workspace)
    if run.revenue_source_ids is not None:
        sources = sources.filter(pk__in=run.revenue_source_ids)
    empty = sources.filter(~Exists(rows.filter(source=OuterRef("pk")))).order_by("name")
    if count := empty.count():
        subjects = [Subject("revenue_source", str(each.pk), each.name) for each in empty[:SUBJECTS_SHOWN]]
        detail = "Sources without a row in the period; is something still to be imported?"
        yield Finding("empty_source", Severity.WARNING, count, detail, subjects)


def _of_lost_refunds(rows: QuerySet[RevenueEvent]) -> Iterator[Finding]:
    sale = RevenueEvent.objects.filter(
        workspace=OuterRef("workspace"),
        source=OuterRef("source"),
        external_id=OuterRef("original_external_id"),
        type=RevenueType.SALE,
    )
    lost = rows.filter(~Exists(sale), type=RevenueType.REFUND).exclude(original_external_id="").order_by("occurred_at")
    if count := lost.count():
        subjects = [Subject("revenue", str(each.pk), each.external_id) for each in lost[:SUBJECTS_SHOWN]]
        yield _lost_refunds(count, subjects)


def _lost_refunds(count: int, subjects: Sequence[Subject]) -> Finding:
    detail = "Refunds whose sale is not in the ledger; they wait until it comes."
    return Finding("refund_without_sale", Severity.WARNING, count, detail, subjects)


def _of_results(run: CalculationRun) -> Iterator[Finding]:
    if run.is_stale:
        detail = "Another run was locked meanwhile and took something of this one. Recalculate it."
        yield Finding("run_stale", Severity.BLOCKER, 1, detail, [Subject("run", str(run.pk), str(run))])
    still_open = open_exceptions(run)
    if count := still_open.count():
        detail = "Rows that no rule took. Add a rule and recalculate, settle them, or accept them for this run."
        yield Finding("unallocated_rows", Severity.BLOCKER, count, detail, _rows_of(still_open))
    exceptions = CalculationException.objects.in_workspace(run.workspace).filter(run=run)
    lost = exceptions.filter(code=ExceptionCode.REFUND_WITHOUT_SALE)
    if count := lost.count():
        yield _lost_refunds(count, _rows_of(lost))
    beyond = exceptions.filter(code=ExceptionCode.REFUND_EXCEEDS_SALE)
    if count := beyond.count():
        detail = "Refunds of more than their sale; what is beyond it is not taken back from anybody."
        yield Finding("refund_exceeds_sale", Severity.WARNING, count, detail, _rows_of(beyond))
    yield from _of_payees(run)


def _rows_of(exceptions: QuerySet[CalculationException]) -> list[Subject]:
    rows = exceptions.select_related("event").order_by("id")[:SUBJECTS_SHOWN]
    return [Subject("revenue", str(each.event_id), each.event.external_id) for each in rows]


def _of_payees(run: CalculationRun) -> Iterator[Finding]:
    receiving = Payee.objects.in_workspace(run.workspace).filter(
        pk__in=run.items.exclude(amount=0).order_by().values("payee").distinct()
    )
    for status, code, severity, detail in (
        (PayeeStatus.INACTIVE, "inactive_payee", Severity.BLOCKER, "Inactive payees that would receive money."),
        (PayeeStatus.PENDING, "pending_payee", Severity.WARNING, "Payees that are not confirmed yet."),
    ):
        found = receiving.filter(status=status).order_by("created_at", "id")
        if count := found.count():
            subjects = [Subject("payee", str(each.pk), each.name) for each in found[:SUBJECTS_SHOWN]]
            yield Finding(code, severity, count, detail, subjects)


def _day_after(day: date) -> date:
    return day + timedelta(days=1)


def described(finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "count": finding.total,
        "detail": finding.detail,
        "subjects": [subject._asdict() for subject in finding.subjects],
    }
