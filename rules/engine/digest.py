"""The fingerprint of a run: SHA-256 over its canonical inputs and items, however the rows were cut into chunks."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from alliantra.money import CONTEXT, STORED_QUANTUM
from rules.engine.evaluation import Fallbacks, Outcome
from rules.engine.inputs import RuleVersion

FORMAT = "alliantra-run-2"
"""First line of what is hashed; a change to the lines below needs another one."""


class RunDigest:
    """Grows outcome by outcome; the order is (occurred_at, source, external_id).

    One line per fact, fields parted by a tab: the run's period, currency and sources; every rule
    version with its payees in winning order; the fallback percentages; then per row its id, amount and
    exception, followed by its items in the version's order. Amounts carry six decimals.
    """

    def __init__(
        self,
        *,
        period_start: date,
        period_end: date,
        currency: str,
        source_ids: Iterable[str] | None,
        versions: Sequence[RuleVersion],
        fallbacks: Fallbacks,
    ) -> None:
        """`versions` in winning order."""
        sources = "all" if source_ids is None else ",".join(sorted(source_ids))
        lines = [FORMAT, f"run\t{period_start}\t{period_end}\t{currency}\t{sources}"]
        for version in versions:
            lines.append(f"version\t{version.id}")
            for share in version.allocations:
                lines.append(f"share\t{json.dumps(share.split_key)}\t{canonical(share.percentage)}")
                lines += [
                    f"payee\t{member.payee_id}\t{json.dumps(member.split_key)}\t{canonical(member.weight)}"
                    for member in share.members
                ]
        for leads, found in (("hint", fallbacks.by_hint), ("partner", fallbacks.by_partner)):
            lines += [
                f"fallback\t{leads}\t{json.dumps(name)}\t{fallback.payee_id}\t{canonical(fallback.percentage)}"
                for name, fallback in sorted(found.items())
            ]
        self._hash = hashlib.sha256()
        self._write(lines)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Continue with these outcomes."""
        lines = []
        for row, version, _, items, _, exception in outcomes:
            lines.append(f"row\t{row.id}\t{canonical(row.amount)}\t{exception or ''}")
            made_by = "fallback" if version is None else version.id
            lines += [f"item\t{made_by}\t{item.payee_id}\t{canonical(item.amount)}" for item in items]
        self._write(lines)

    def hexdigest(self) -> str:
        """64 hexadecimal digits over all that was added."""
        return self._hash.hexdigest()

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            self._hash.update(("\n".join(lines) + "\n").encode())


def canonical(amount: Decimal) -> str:
    """`amount` with six decimals, no exponent: the same text however it was written."""
    return str(amount.quantize(STORED_QUANTUM, context=CONTEXT))
