"""Closing a run: statements, balances, and which other runs it makes stale.

Statements and balance entries are made by the database from the stored items, set by set: closing a run of a
million rows takes seconds, and no figure passes through anything that could round it.
"""

from typing import Any

from django.db import connection
from django.db.models import Max

from rules.models import BalanceEntry, CalculationRun, RunStatus, Statement

STATEMENTS = """
WITH line AS (
    SELECT payee_id, event_id, basis, amount FROM rules_calculationitem WHERE workspace_id = %(workspace)s
    AND run_id = %(run)s
), figure AS (
    SELECT payee_id, count(*) AS lines,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS earnings,
           -coalesce(sum(amount) FILTER (WHERE amount < 0), 0) AS clawbacks
    FROM line GROUP BY payee_id
), gross AS (
    SELECT payee_id, sum(basis) AS basis FROM (SELECT DISTINCT payee_id, event_id, basis FROM line) AS once
    GROUP BY payee_id
), adjusted AS (
    SELECT payee_id, sum(amount) AS amount FROM rules_calculationadjustment WHERE workspace_id = %(workspace)s
    AND run_id = %(run)s GROUP BY payee_id
), before AS (
    SELECT DISTINCT ON (payee_id) payee_id, closing_balance FROM rules_statement
    WHERE workspace_id = %(workspace)s AND currency = %(currency)s ORDER BY payee_id, number DESC
), owed AS (
    SELECT payee_id, sum(amount) AS amount FROM rules_balanceentry
    WHERE workspace_id = %(workspace)s AND currency = %(currency)s GROUP BY payee_id
)
SELECT payee.id, payee.name, payee.external_id, payee.type, payee.contact_name, payee.contact_email, payee.address,
       coalesce(figure.lines, 0), coalesce(gross.basis, 0), coalesce(before.closing_balance, 0),
       coalesce(figure.earnings, 0), coalesce(figure.clawbacks, 0), coalesce(adjusted.amount, 0),
       coalesce(before.closing_balance, 0) - coalesce(owed.amount, 0)
FROM partners_payee AS payee
LEFT JOIN figure ON figure.payee_id = payee.id LEFT JOIN gross ON gross.payee_id = payee.id
LEFT JOIN adjusted ON adjusted.payee_id = payee.id LEFT JOIN before ON before.payee_id = payee.id
LEFT JOIN owed ON owed.payee_id = payee.id
WHERE payee.workspace_id = %(workspace)s AND (figure.payee_id IS NOT NULL OR adjusted.payee_id IS NOT NULL)
ORDER BY payee.created_at, payee.id
"""
"""Per payee of the run: who it is and the figures of its statement. Payments are what moved the balance since."""

# Set operations hash both sides, whatever the planner believes of tables that were filled a moment ago.
SHARED_ROWS = """
SELECT EXISTS (
    SELECT event_id FROM rules_calculationitem WHERE workspace_id = %(workspace)s AND run_id = %(ours)s
    INTERSECT
    SELECT event_id FROM rules_calculationitem WHERE workspace_id = %(workspace)s AND run_id = %(theirs)s
)
"""
REFUNDS_OF = """
SELECT EXISTS (
    SELECT sale_id FROM rules_calculationitem
    WHERE workspace_id = %(workspace)s AND run_id = %(theirs)s AND sale_id IS NOT NULL
    INTERSECT
    SELECT unnest(ARRAY[event_id, sale_id]) FROM rules_calculationitem
    WHERE workspace_id = %(workspace)s AND run_id = %(ours)s
)
"""
SHARED_WINDOWS = """
SELECT EXISTS (
    SELECT FROM rules_tieraccumulator AS ours JOIN rules_tieraccumulator AS theirs
    ON theirs.workspace_id = ours.workspace_id AND theirs.rule_id = ours.rule_id AND theirs."window" = ours."window"
    WHERE ours.workspace_id = %(workspace)s AND ours.run_id = %(ours)s AND theirs.run_id = %(theirs)s
)
"""


def write_statements(run: CalculationRun) -> list[Statement]:
    """One statement per payee with a line in the run; and what each moves on the balance."""
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS, {"workspace": run.workspace_id, "run": run.pk, "currency": run.currency})
        rows = cursor.fetchall()
    last = Statement.objects.in_workspace(run.workspace).aggregate(last=Max("number"))["last"] or 0
    statements = [_statement(run, number, row) for number, row in enumerate(rows, start=last + 1)]
    Statement.objects.bulk_create(statements, batch_size=1_000)
    BalanceEntry.objects.bulk_create(
        [entry for statement in statements for entry in _entries(run, statement)], batch_size=1_000
    )
    return statements


def _statement(run: CalculationRun, number: int, row: tuple[Any, ...]) -> Statement:
    payee_id, name, external_id, kind, contact_name, contact_email, address, lines, gross, opening, *moved = row
    earnings, clawbacks, adjustments, payments = moved
    return Statement(
        workspace=run.workspace,
        run=run,
        number=number,
        payee_id=payee_id,
        payee_details={
            "name": name,
            "external_id": external_id,
            "type": kind,
            "contact_name": contact_name,
            "contact_email": contact_email,
            "address": address,
        },
        currency=run.currency,
        lines_count=lines,
        gross_basis=gross,
        opening_balance=opening,
        earnings=earnings,
        clawbacks=clawbacks,
        adjustments=adjustments,
        payments=payments,
        closing_balance=opening + earnings - clawbacks + adjustments - payments,
    )


def _entries(run: CalculationRun, statement: Statement) -> list[BalanceEntry]:
    moved = {
        BalanceEntry.Kind.EARNINGS: statement.earnings,
        BalanceEntry.Kind.CLAWBACK: -statement.clawbacks,
        BalanceEntry.Kind.ADJUSTMENT: statement.adjustments,
    }
    return [
        BalanceEntry(
            workspace=run.workspace,
            payee_id=statement.payee_id,
            currency=run.currency,
            kind=kind,
            amount=amount,
            run=run,
            reference=str(statement),
        )
        for kind, amount in moved.items()
        if amount
    ]


def mark_stale(locked: CalculationRun) -> list[CalculationRun]:
    """Mark runs that stood on what `locked` has now taken: rows, the sales of refunds, measures of tiers."""
    others = CalculationRun.objects.in_workspace(locked.workspace).filter(
        status__in=(RunStatus.CALCULATED, RunStatus.APPROVED), currency=locked.currency, is_stale=False
    )
    stale = [run for run in others.exclude(pk=locked.pk) if _stands_on(run, locked)]
    CalculationRun.objects.in_workspace(locked.workspace).filter(pk__in=[run.pk for run in stale]).update(is_stale=True)
    return stale


def _stands_on(run: CalculationRun, locked: CalculationRun) -> bool:
    names = {"workspace": run.workspace_id, "ours": locked.pk, "theirs": run.pk}
    questions = [REFUNDS_OF, SHARED_WINDOWS, *([SHARED_ROWS] if _may_share_rows(run, locked) else [])]
    return any(_answer(question, names) for question in questions)


def _may_share_rows(run: CalculationRun, other: CalculationRun) -> bool:
    """Whether a row may be in both: common days, or a visitor of one that occurred in the other's days."""
    has_visitors = bool(run.visiting_rows or other.visiting_rows)
    return has_visitors or (run.period_start <= other.period_end and other.period_start <= run.period_end)


def _answer(question: str, names: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, names)
        return bool(cursor.fetchone()[0])


def rows_taken_twice(run: CalculationRun) -> bool:
    """Whether some row of the run is already in a locked run: never, unless something is wrong."""
    locked = CalculationRun.objects.in_workspace(run.workspace).locked().filter(currency=run.currency)
    return any(
        _answer(SHARED_ROWS, {"workspace": run.workspace_id, "ours": other.pk, "theirs": run.pk})
        for other in locked.exclude(pk=run.pk)
        if _may_share_rows(run, other)
    )
