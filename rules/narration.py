"""What became of a row, in sentences for people: its run, who decided, what remains, what was not allocated, doubts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alliantra.money import CONTEXT
from rules.engine.evaluation import REFUND_EXCEEDS_SALE, REFUND_WITHOUT_SALE, SALE_SETTLED
from rules.engine.explanation import Fate, Verdict, sentence
from rules.engine.matching import TieBreak
from rules.engine.steps import Working
from rules.engine.wording import Labels, money_text, percent_text, quoted
from rules.models import CalculationRun, ExceptionDecision
from rules.retracing import Retraced


@dataclass(frozen=True, slots=True)
class Narration:
    """Tells of one row. `verdicts` are those on the rules that decide it."""

    retraced: Retraced
    verdicts: Sequence[Verdict]
    labels: Labels
    decisions: Sequence[ExceptionDecision]

    # -- who decided -------------------------------------------------------------------------------

    def verdict_sentence(self, verdict: Verdict) -> str:
        """One rule's fate."""
        if verdict.reason == TieBreak.SALE:
            return self._of_sale()
        return sentence(verdict, self.retraced.sale_row or self.retraced.row, self.labels)

    def decision(self) -> Iterator[str]:
        """Who took the row, and why; nothing where nobody did."""
        outcome = self.retraced.outcome
        winner = next((verdict for verdict in self.verdicts if verdict.fate is Fate.WON), None)
        if outcome.tie_break == TieBreak.SALE:
            yield self._of_sale()
        elif outcome.tie_break == TieBreak.FALLBACK:
            yield self._of_fallback()
        elif outcome.tie_break is None or outcome.version is None:
            return
        elif winner is not None and winner.version.id == outcome.version.id:
            yield self.verdict_sentence(winner)
        else:
            yield f"Rule {self.labels.title(outcome.version)} won the row, by {outcome.tie_break}."

    def _of_sale(self) -> str:
        sale, version = self.retraced.sale_row, self.retraced.outcome.version
        assert sale is not None
        rule = "its payee's fallback percentage" if version is None else f"rule {self.labels.title(version)}"
        name = quoted(sale.external_id)
        if not self.retraced.sale_items:
            return f"The row takes back what sale {name}, which was in no run, would be allocated under {rule}."
        run = run_name(self.retraced.sale_items[0].run)
        return f"The row takes back what {run} allocated of sale {name} under {rule}, whatever the rules say by now."

    def _of_fallback(self) -> str:
        row, fallbacks = self.retraced.row, self.retraced.rules.fallbacks
        found = fallbacks.of(row)
        if found is None:
            return "No rule matches; the fallback percentage of a payee applied."
        by_hint = bool(row.payee_hint) and row.payee_hint in fallbacks.by_hint
        partner = self.labels.name(row.partner_id or "")
        lead = f"payee hint {quoted(row.payee_hint)}" if by_hint else f"partner {quoted(partner)}"
        payee, share = quoted(self.labels.name(found.payee_id)), percent_text(Decimal(found.percentage))
        return f"No rule matches; the row's {lead} leads to payee {payee}, whose fallback percentage is {share}."

    # -- circumstances -----------------------------------------------------------------------------

    def circumstances(self) -> Iterator[str]:
        """Which run has the row, and whether it came late."""
        run, late = self.retraced.run, self.retraced.late
        if run is None:
            yield "No run has the row yet. This is what would become of it if it was calculated alone, now."
        else:
            state = "is locked" if run.is_locked else "is not locked yet"
            days = f"{run.period_start} to {run.period_end}"
            yield f"The row is in run {run.number} ({days}, {run.currency}), which {state}."
        if late is not None:
            rules = "" if self.retraced.row.is_linked_refund else f", so the rules apply that {run_name(late)} used"
            yield f"The row arrived late for {run_name(late)}, which was locked already{rules}."

    def remainder(self) -> Iterator[str]:
        """What of the row's amount is nobody's."""
        outcome = self.retraced.outcome
        if outcome.items:
            taken = CONTEXT.subtract(outcome.row.amount, outcome.excepted)
            allocated = CONTEXT.subtract(taken, outcome.remainder)
            difference = f"{self._money(taken)} − {self._money(allocated)} = {self._money(outcome.remainder)}"
            yield f"Remainder of the row: {difference}."

    def settlements(self) -> Iterator[str]:
        """What people decided."""
        yield from map(self._settlement, self.decisions)

    def _settlement(self, decision: ExceptionDecision) -> str:
        sale = self.retraced.sale_row
        subject = "The sale" if sale is not None and str(decision.event_id) == sale.id else "The row"
        run = run_name(decision.run)
        if decision.kind == ExceptionDecision.Kind.SETTLED:
            verb = "was settled, so that nothing is ever allocated of it,"
        else:
            verb = f"was accepted as not allocated for {run}"
        return f"{subject} {verb} by {decision.decided_by}: {quoted(decision.reason)}."

    # -- what was not allocated --------------------------------------------------------------------

    def exception(self) -> Iterator[str]:
        """Why the row, or part of it, was not allocated."""
        outcome, sale = self.retraced.outcome, self.retraced.sale_row
        if outcome.exception is None:
            return
        name = quoted(self.retraced.row.original_external_id)
        if outcome.exception == REFUND_WITHOUT_SALE:
            yield f"The row is a refund of sale {name}, which is not in the ledger of its source; it waits for that."
        elif outcome.exception == SALE_SETTLED:
            yield f"The row is a refund of sale {name}, which a person settled: nothing was allocated to take back."
        elif outcome.exception == REFUND_EXCEEDS_SALE:
            yield self._beyond_sale()
        elif sale is not None:
            yield f"The row is a refund of sale {name}, of which nothing was allocated: nothing is to be taken back."
        else:
            yield self._unallocated()

    def _beyond_sale(self) -> str:
        outcome, sale = self.retraced.outcome, self.retraced.origin.sale
        before = sale.refunded if sale is not None else Decimal(0)
        amount = sale.row.amount if sale is not None else Decimal(0)
        taken = CONTEXT.subtract(outcome.excepted, outcome.row.amount)
        return (
            f"The refund is of {self._money(CONTEXT.minus(outcome.row.amount))}, its sale of {self._money(amount)}, of "
            f"which {self._money(before)} was refunded before: {self._money(taken)} can be taken back, "
            f"{self._money(CONTEXT.minus(outcome.excepted))} is beyond the sale."
        )

    def _unallocated(self) -> str:
        if self._is_settled:
            return "Nothing is allocated of the row, whatever the rules say: a person settled it."
        count = "1 rule was" if len(self.verdicts) == 1 else f"{len(self.verdicts)} rules were"
        return (
            f"No rule matches the row ({count} looked at), and neither its payee hint nor its partner leads to a payee "
            f"with a fallback percentage."
        )

    # -- doubts ------------------------------------------------------------------------------------

    def doubts_about_winner(self) -> Iterator[str]:
        """Where the rules, read again, decide otherwise than is stored."""
        outcome = self.retraced.outcome
        if self.retraced.sale_row is not None or outcome.exception == REFUND_WITHOUT_SALE or self._is_settled:
            return
        winner = next((verdict for verdict in self.verdicts if verdict.fate is Fate.WON), None)
        found = None if winner is None else (winner.version.id, winner.reason)
        if found == (None if outcome.version is None else (outcome.version.id, outcome.tie_break)):
            return
        now = "no rule" if winner is None else f"rule {self.labels.title(winner.version)}"
        yield (
            f"This differs from what is stored: by the row as it is read now, {now} would win. What the row is "
            f"compared by (its product, partner or customer's first sale) was changed since it was calculated."
        )

    @property
    def _is_settled(self) -> bool:
        """Whether a person settled the row, so that no rule may take it."""
        is_final = {decision.kind for decision in self.decisions if str(decision.event_id) == self.retraced.row.id}
        return self.retraced.outcome.exception is not None and ExceptionDecision.Kind.SETTLED in is_final

    def doubts_about_amounts(self, workings: Iterable[Working]) -> Iterator[str]:
        """Where the arithmetic, done again, does not come to what is stored."""
        for working in workings:
            if not working.holds:
                name, stored = quoted(self.labels.name(working.item.payee_id)), self._money(working.item.amount)
                found = "nothing" if working.amount is None else self._money(working.amount)
                yield f"This differs from what is stored: for {name} the steps come to {found}, stored is {stored}."

    def _money(self, amount: Decimal) -> str:
        return money_text(amount, self.retraced.row.currency)


def run_name(run: CalculationRun) -> str:
    """`run 3`, inside a sentence."""
    return f"run {run.number}"
