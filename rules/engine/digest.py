"""The fingerprint of a run: SHA-256 over its canonical inputs and items, however the rows were cut into chunks."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from alliantra.money import CONTEXT, STORED_QUANTUM
from rules.engine.bounds import Adjustment
from rules.engine.evaluation import Outcome
from rules.engine.ruleset import RuleSet

FORMAT = "alliantra-run-3"
"""First line of what is hashed; a change to the lines below needs another one."""


class RunDigest:
    """Grows outcome by outcome, in the order in which rows are evaluated.

    One line per fact, fields parted by a tab: the run's period, currency and sources; every rule
    version with its payees in winning order, and the fallback percentages; the same of each locked run that
    rows arrived late for; then per row its id, amount and exception, followed by its items in the version's
    order; then the lines without a row. Amounts carry six decimals.
    """

    def __init__(
        self, *, period_start: date, period_end: date, currency: str, source_ids: Iterable[str] | None, rules: RuleSet
    ) -> None:
        sources = "all" if source_ids is None else ",".join(sorted(source_ids))
        self._hash = hashlib.sha256()
        self._write([FORMAT, f"run\t{period_start}\t{period_end}\t{currency}\t{sources}", *rule_lines(rules)])

    def add_earlier(self, run_id: str, rules: RuleSet) -> None:
        """The rules of a locked run that rows arrived late for."""
        self._write([f"late\t{run_id}", *rule_lines(rules)])

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Continue with these outcomes."""
        for outcome in outcomes:
            made_by = "fallback" if outcome.version is None else outcome.version.id
            items = ((item.payee_id, item.allocation_index, item.amount) for item in outcome.items)
            self.add_row(outcome.row.id, outcome.row.amount, outcome.exception or "", made_by, items)

    def add_row(
        self, row_id: str, amount: Decimal, exception: str, made_by: str, items: Iterable[tuple[str, int, Decimal]]
    ) -> None:
        """Continue with one row and its items: payee, place of the allocation, amount."""
        lines = [f"row\t{row_id}\t{canonical(amount)}\t{exception}"]
        lines += [f"item\t{made_by}\t{payee_id}\t{index}\t{canonical(due)}" for payee_id, index, due in items]
        self._write(lines)

    def add_adjustments(self, adjustments: Iterable[Adjustment]) -> None:
        """Continue with the lines without a row."""
        for line in adjustments:
            self.add_adjustment(line.kind, line.version.id, line.allocation_index, line.payee_id, line.amount)

    def add_adjustment(self, kind: str, version_id: str, index: int, payee_id: str, amount: Decimal) -> None:
        """Continue with one line without a row."""
        self._write([f"adjustment\t{kind}\t{version_id}\t{index}\t{payee_id}\t{canonical(amount)}"])

    def hexdigest(self) -> str:
        """64 hexadecimal digits over all that was added."""
        return self._hash.hexdigest()

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            self._hash.update(("\n".join(lines) + "\n").encode())


def rule_lines(rules: RuleSet) -> list[str]:
    """Versions with their payees in winning order, then fallbacks."""
    lines: list[str] = []
    for version in rules.versions:
        lines.append(f"version\t{version.id}")
        for share in version.allocations:
            lines.append(f"share\t{json.dumps(share.split_key)}\t{canonical(share.percentage)}")
            lines += [
                f"payee\t{member.payee_id}\t{json.dumps(member.split_key)}\t{canonical(member.weight)}"
                for member in share.members
            ]
    for leads, found in (("hint", rules.fallbacks.by_hint), ("partner", rules.fallbacks.by_partner)):
        lines += [
            f"fallback\t{leads}\t{json.dumps(name)}\t{fallback.payee_id}\t{canonical(fallback.percentage)}"
            for name, fallback in sorted(found.items())
        ]
    return lines


def canonical(amount: Decimal) -> str:
    """`amount` with six decimals, no exponent: the same text however it was written."""
    return str(amount.quantize(STORED_QUANTUM, context=CONTEXT))
