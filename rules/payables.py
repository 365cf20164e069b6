"""What a locked run's payees are due now: balances less what is already on its way, and who is withheld.

What is due to a payee is fixed by the first export that includes it. Until it is confirmed as paid, or closed by a
person, later runs leave it out, so that nothing is paid twice; what was withheld stays in the balance and is part of
what the next run finds due.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, Q, Sum

from partners.models import Payee
from rules.models import BalanceEntry, CalculationRun, Payout, Statement

ZERO = Decimal(0)
Amounts = Mapping[UUID, Decimal]


class Exclusion(StrEnum):
    """Why a payee is withheld from the payout export."""

    ON_HOLD = "on_hold"
    BELOW_MINIMUM = "below_minimum"


class Payable(NamedTuple):
    """What one payee of a run is due. `total` is what the run itself allocated; it never depends on controls."""

    payee: Payee
    statement: Statement | None
    currency: str
    total: Decimal
    balance: Decimal
    amount_due: Decimal
    excluded: Exclusion | None

    @property
    def is_included(self) -> bool:
        """Whether the export names the payee."""
        return self.excluded is None


def payables(run: CalculationRun) -> list[Payable]:
    """Of a locked run, per statement: included, or withheld and why. Controls are those of now."""
    statements = list(
        Statement.objects.in_workspace(run.workspace).filter(run=run).select_related("payee").order_by("number")
    )
    payees = [statement.payee_id for statement in statements]
    balances = balances_of(run, payees)
    fixed = dict(
        Payout.objects.in_workspace(run.workspace).filter(run=run, expected__gt=0).values_list("payee_id", "expected")
    )
    on_their_way = _on_their_way(run, payees)
    found = []
    for statement in statements:
        balance = balances.get(statement.payee_id, ZERO)
        free = min(statement.closing_balance, balance - on_their_way.get(statement.payee_id, ZERO))
        due = fixed.get(statement.payee_id, max(free, ZERO))
        payee, total = statement.payee, statement.calculated_total
        excluded = exclusion(payee, due)
        found.append(Payable(payee, statement, run.currency, total, balance, due, excluded))
    return found


def preview(run: CalculationRun) -> list[Payable]:
    """Of a run that is not locked: what its payees would be due if it was locked now."""
    rows = list(run.items.all().by_payee(run))
    payees = {
        payee.pk: payee
        for payee in Payee.objects.in_workspace(run.workspace).filter(pk__in=[row["payee_id"] for row in rows])
    }
    balances = balances_of(run, list(payees))
    on_their_way = _on_their_way(run, list(payees))
    found = []
    for row in rows:
        payee = payees[row["payee_id"]]
        balance = balances.get(payee.pk, ZERO)
        due = max(balance + row["total"] - on_their_way.get(payee.pk, ZERO), ZERO)
        found.append(Payable(payee, None, run.currency, row["total"], balance, due, exclusion(payee, due)))
    return found


def exclusion(payee: Payee, due: Decimal) -> Exclusion | None:
    """Why a payee is withheld; None if it is not. What is not above zero is below any minimum."""
    if payee.on_hold:
        return Exclusion.ON_HOLD
    if due <= 0 or due < payee.minimum_payout:
        return Exclusion.BELOW_MINIMUM
    return None


def balances_of(run: CalculationRun, payees: list[UUID]) -> Amounts:
    """Payee → what it is owed in the run's currency."""
    entries = BalanceEntry.objects.in_workspace(run.workspace).filter(currency=run.currency, payee__in=payees)
    return dict(entries.order_by().values_list("payee_id").annotate(balance=Sum("amount")))


def _on_their_way(run: CalculationRun, payees: list[UUID]) -> Amounts:
    """Payee → what exports of other runs said is due, and nobody has confirmed or closed yet."""
    others = Payout.objects.in_workspace(run.workspace).filter(currency=run.currency, payee__in=payees)
    others = others.exclude(run=run).filter(Q(resolved_at=None), confirmed__lt=F("expected"))
    return dict(others.order_by().values_list("payee_id").annotate(left=Sum(F("expected") - F("confirmed"))))
