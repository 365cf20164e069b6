"""Why a ledger row, or an item of a run, came to what it did: in fields for machines, in sentences for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from alliantra.money import CONTEXT
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueEvent
from rules.engine.arithmetic import workings
from rules.engine.evaluation import REFUND_WITHOUT_SALE
from rules.engine.explanation import (
    Comparison,
    ConditionTrace,
    Fate,
    Mismatch,
    Verdict,
    comparison,
    condition_traces,
    explain,
    mismatches,
)
from rules.engine.inputs import Row
from rules.engine.matching import TieBreak
from rules.engine.steps import Step, Terms, Working
from rules.models import CalculationItem, CalculationRun, ExceptionDecision
from rules.naming import labels_of, recipients_of
from rules.narration import Narration
from rules.retracing import Basis, Retraced, decisions_about, retrace, retrace_in


class Candidate(NamedTuple):
    """One rule version and its fate."""

    rule_id: str
    rule_version_id: str
    name: str
    version: int
    priority: int
    specificity: int
    fate: str
    reason: str
    sentence: str
    comparison: Comparison | None
    mismatches: Sequence[Mismatch]
    conditions: Sequence[ConditionTrace]


class ExplainedItem(NamedTuple):
    """One payee's amount and how it comes about. `id` is None in a preview."""

    id: UUID | None
    payee_id: str
    payee_name: str
    allocation_index: int
    rate: Decimal
    amount: Decimal
    summary: str
    steps: Sequence[Step]
    is_verified: bool


class Refund(NamedTuple):
    """The sale of a linked refund, and how much of it was refunded before the row and is with it.

    `reversed_items` are those of the sale, in `run`; none if the sale was in no run.
    """

    sale: Row
    run: CalculationRun | None
    refunded_before: Decimal
    refunded_after: Decimal
    reversed_items: Sequence[CalculationItem]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it. `is_verified` says whether what is explained equals what is stored."""

    basis: Basis
    run: CalculationRun | None
    late_for: CalculationRun | None
    row: Row
    decided_by: str | None
    rule_id: str | None
    rule_version_id: str | None
    candidates: Sequence[Candidate]
    items: Sequence[ExplainedItem]
    remainder: Decimal
    exception: str | None
    excepted: Decimal
    refund: Refund | None
    decisions: Sequence[ExceptionDecision]
    is_verified: bool
    summary: str
    sentences: Sequence[str]


def explain_revenue(event: RevenueEvent, workspace: Workspace) -> Explanation:
    """A row of the ledger, by the latest run that has it, or as a preview."""
    return _Explaining(retrace(event, workspace)).explanation()


def explain_item(item: CalculationItem, workspace: Workspace) -> Explanation:
    """One item of a run, by what its run pinned. The item comes with its run and its event."""
    return _Explaining(retrace_in(item.run, item.event, workspace)).explanation(only=item.pk)


class _Explaining:
    """Brings what was retraced, the verdicts, the arithmetic and the sentences together."""

    def __init__(self, retraced: Retraced) -> None:
        self._retraced = retraced
        self._verdicts = _verdicts(retraced)
        self._labels = labels_of(retraced, self._verdicts)
        self._decisions = decisions_about(retraced.row, retraced.sale_row, retraced.workspace)
        self._narration = Narration(retraced, self._verdicts, self._labels, self._decisions)
        terms = Terms(retraced.row, self._labels, recipients_of(retraced, self._labels))
        self._workings = workings(retraced.outcome, retraced.origin, terms)

    def explanation(self, only: UUID | None = None) -> Explanation:
        """The whole, or with one of the items."""
        retraced, outcome, narration = self._retraced, self._retraced.outcome, self._narration
        ids: list[UUID | None] = [item.pk for item in retraced.items] or [None for _ in self._workings]
        shown = [pair for pair in zip(ids, self._workings, strict=True) if only is None or pair[0] == only]
        steps = list(dict.fromkeys(step.text for _, working in shown for step in working.steps))
        doubts = self._doubts(working for _, working in shown)
        told = [*narration.decision(), *steps]
        after = [*narration.remainder(), *narration.exception(), *narration.settlements()]
        return Explanation(
            basis=retraced.basis,
            run=retraced.run,
            late_for=retraced.late,
            row=retraced.row,
            decided_by=None if outcome.tie_break is None else str(outcome.tie_break),
            rule_id=None if outcome.version is None else outcome.version.rule_id,
            rule_version_id=None if outcome.version is None else outcome.version.id,
            candidates=[self._candidate(verdict) for verdict in self._verdicts],
            items=[self._item(item_id, working) for item_id, working in shown],
            remainder=outcome.remainder,
            exception=outcome.exception,
            excepted=outcome.excepted,
            refund=self._refund(),
            decisions=self._decisions,
            is_verified=not doubts,
            summary=" ".join([*told, *narration.exception(), *doubts]),
            sentences=[*narration.circumstances(), *told, *after, *doubts],
        )

    def _candidate(self, verdict: Verdict) -> Candidate:
        version, row = verdict.version, self._retraced.sale_row or self._retraced.row
        is_judged = verdict.reason != TieBreak.SALE
        return Candidate(
            rule_id=version.rule_id,
            rule_version_id=version.id,
            name=self._labels.titles.get(version.id, ""),
            version=version.number,
            priority=version.priority,
            specificity=version.scope.specificity,
            fate=verdict.fate.value,
            reason=str(verdict.reason),
            sentence=self._narration.verdict_sentence(verdict),
            comparison=comparison(verdict, self._labels),
            mismatches=mismatches(version, row, self._labels) if is_judged else [],
            conditions=condition_traces(version, row) if is_judged else [],
        )

    def _item(self, item_id: UUID | None, working: Working) -> ExplainedItem:
        item, doubts = working.item, self._doubts([working])
        told = [*self._narration.decision(), *(step.text for step in working.steps), *doubts]
        return ExplainedItem(
            id=item_id,
            payee_id=item.payee_id,
            payee_name=self._labels.name(item.payee_id),
            allocation_index=item.allocation_index,
            rate=item.rate,
            amount=item.amount,
            summary=" ".join(told),
            steps=working.steps,
            is_verified=not doubts,
        )

    def _doubts(self, shown: Iterable[Working]) -> list[str]:
        return [*self._narration.doubts_about_winner(), *self._narration.doubts_about_amounts(shown)]

    def _refund(self) -> Refund | None:
        sale, outcome = self._retraced.origin.sale, self._retraced.outcome
        if sale is None:
            return None
        stored = self._retraced.sale_items
        taken = CONTEXT.subtract(outcome.row.amount, outcome.excepted)
        after = CONTEXT.subtract(sale.refunded, taken)
        return Refund(sale.row, stored[0].run if stored else None, sale.refunded, after, stored)


def _verdicts(retraced: Retraced) -> list[Verdict]:
    """On the rules that decide the row; of a refund whose sale is in a run only on the version that the sale had."""
    version = retraced.outcome.version
    if retraced.sale_row is None:
        is_lost_refund = retraced.outcome.exception == REFUND_WITHOUT_SALE
        return [] if is_lost_refund else explain(retraced.rules.versions, retraced.row)
    if not retraced.sale_items:
        verdicts = explain(retraced.rules.versions, retraced.sale_row)
        winner = verdicts[0].version.id if verdicts and verdicts[0].fate is Fate.WON else None
        if winner == (version and version.id):
            return verdicts
    return [] if version is None else [Verdict(version, Fate.WON, TieBreak.SALE.value)]
