"""Findings of a run's readiness with the pages where they are mended, as far as the member may open them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from alliantra.workspaces.console.session import allows
from rules.models import CalculationRun
from rules.readiness import Finding, Severity, Subject, findings

TITLES: Mapping[str, str] = {
    "rule_conflict": "Rules that conflict",
    "run_stale": "Stale figures",
    "unallocated_rows": "Rows that no rule took",
    "inactive_payee": "Inactive payees",
    "pending_payee": "Pending payees",
    "unmapped_products": "Products that are not mapped",
    "other_currency": "Rows in other currencies",
    "empty_source": "Sources without revenue",
    "refund_without_sale": "Refunds without their sale",
    "refund_exceeds_sale": "Refunds of more than their sale",
}


class Place(NamedTuple):
    """A page, and what to call it."""

    address: str
    label: str


class ShownFinding(NamedTuple):
    """A finding, where it is mended, and its subjects with their pages."""

    finding: Finding
    title: str
    fix: Place | None
    subjects: Sequence[tuple[str, str]]
    """Text and address of each; no address where there is no page, or none that the member may open."""

    @property
    def is_blocker(self) -> bool:
        """Whether it stops the approval."""
        return self.finding.severity is Severity.BLOCKER

    @property
    def more(self) -> int:
        """Subjects that are not shown."""
        return self.finding.total - len(self.subjects) if self.finding.code != "other_currency" else 0


def findings_of(run: CalculationRun) -> Sequence[Finding]:
    """What readiness says of a run that can still be changed and is not being calculated this moment."""
    return findings(run) if run.is_calculated and not run.is_locked else ()


def shown_findings(found: Sequence[Finding], run: CalculationRun, request: HttpRequest) -> list[ShownFinding]:
    """Each with its links."""
    return [
        ShownFinding(
            finding,
            TITLES.get(finding.code, finding.code.replace("_", " ").capitalize()),
            _fix(finding.code, run, request),
            [(_text(subject), _subject_page(subject, run, request)) for subject in dict.fromkeys(finding.subjects)],
        )
        for finding in found
    ]


def _fix(code: str, run: CalculationRun, request: HttpRequest) -> Place | None:
    exceptions = f"{reverse('admin:rules_calculationexception_changelist')}?run={run.pk}"
    payees = reverse("admin:partners_payee_changelist")
    places: Mapping[str, tuple[str, Callable[[], str], str]] = {
        "rule_conflict": ("read:rules", lambda: reverse("admin:rules_rule_conflicts"), "Conflicts of rules"),
        "unallocated_rows": ("read:runs", lambda: exceptions, "Exceptions"),
        "refund_without_sale": ("read:runs", lambda: f"{exceptions}&code=refund_without_sale", "Exceptions"),
        "refund_exceeds_sale": ("read:runs", lambda: f"{exceptions}&code=refund_exceeds_sale", "Exceptions"),
        "inactive_payee": ("read:payees", lambda: f"{payees}?status=inactive", "Inactive payees"),
        "pending_payee": ("read:payees", lambda: f"{payees}?status=pending", "Pending payees"),
        "unmapped_products": (
            "read:products",
            lambda: reverse("admin:revenues_productmapping_unmapped"),
            "Unmapped identifiers",
        ),
        "empty_source": ("read:imports", lambda: reverse("admin:revenues_importbatch_changelist"), "Imports"),
    }
    if code not in places:
        return None
    permission, address, label = places[code]
    return Place(address(), label) if allows(request, permission) else None


def _subject_page(subject: Subject, run: CalculationRun, request: HttpRequest) -> str:
    pages = {
        "rule": ("read:rules", "admin:rules_rule_change"),
        "payee": ("read:payees", "admin:partners_payee_change"),
        "revenue": ("read:revenues", "admin:revenues_revenueevent_change"),
        "revenue_source": ("read:revenues", "admin:revenues_revenuesource_change"),
    }
    if subject.kind == "currency" and allows(request, "write:runs"):
        period = {"period_start": run.period_start, "period_end": run.period_end, "currency": subject.id}
        return f"{reverse('admin:rules_calculationrun_add')}?{urlencode(period)}"
    permission, name = pages.get(subject.kind, ("", ""))
    return reverse(name, args=[subject.id]) if name and allows(request, permission) else ""


def _text(subject: Subject) -> str:
    return f"{subject.id}: {subject.name}" if subject.kind == "currency" else subject.name
