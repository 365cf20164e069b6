"""Use cases of what partners cost: recorded once, in the base currency at the rate of then, spread over its days."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.money import CONTEXT, LIMIT, STORED_QUANTUM, quantize
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import validate_row
from partners.daily_costs import evenly
from partners.exchange import longest_age, rate_on
from partners.models import Cost, CostBasis, CostDay

LONGEST_PERIOD: Final = 1_100
"""Days that a cost may cover."""
_RATE_QUANTUM: Final = Decimal("0.0000000001")
_PRICED: Final = frozenset({"amount", "currency", "period_start", "period_end"})
"""What is sent of these converts a cost anew."""


@transaction.atomic
def create_cost(*, actor: Actor, now: datetime, **values: Any) -> Cost:
    """Record what a partner cost. Raises Invalid (without a rate: `rate_missing`), or `already_exists` for its id."""
    cost = Cost(workspace=actor.workspace, **{"currency": actor.workspace.base_currency, **values})
    _price(cost)
    _save(cost)
    _spread(cost, now)
    audit.record(actor, "cost.created", cost, after=audit.snapshot(cost))
    return cost


@transaction.atomic
def update_cost(cost: Cost, *, actor: Actor, now: datetime, **changes: Any) -> Cost:
    """Change a cost and its days. Sending amount, currency or period converts it at the rate that is recorded now.

    Raises as `create_cost` does. What changes nothing leaves no trace.
    """
    rows = (
        Cost.objects.in_workspace(actor.workspace)
        .select_for_update(of=("self",))
        .select_related("partner", "workspace")
    )
    cost = rows.get(pk=cost.pk)
    before = audit.snapshot(cost)
    for field, value in changes.items():
        setattr(cost, field, value)
    if not _PRICED.isdisjoint(changes):
        _price(cost)
    after = audit.snapshot(cost)
    if after == before:
        return cost
    _save(cost)
    if not {"partner", "base_amount", "period_start", "period_end"}.isdisjoint(_changed(before, after)):
        _forget_days(cost)
        _spread(cost, now)
    audit.record(actor, "cost.updated", cost, before=before, after=after)
    return cost


@transaction.atomic
def delete_cost(cost: Cost, *, actor: Actor) -> None:
    """Take back a cost, and with it what its days counted."""
    cost = Cost.objects.in_workspace(actor.workspace).select_for_update().get(pk=cost.pk)
    audit.record(actor, "cost.deleted", cost, before=audit.snapshot(cost))
    _forget_days(cost)
    cost.delete()


def _changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, value in after.items() if before[name] != value}


def _price(cost: Cost) -> None:
    """Freeze the amount in the base currency; every number in the form in which it is stored. Raises Invalid."""
    _check_amount(cost.amount)
    _check_period(cost.period_start, cost.period_end)
    base = cost.workspace.base_currency
    found = rate_on(cost.workspace, cost.currency, cost.period_start)
    if found is None:
        raise Invalid.field("/currency", "rate_missing", _missing(cost, base))
    converted = quantize(CONTEXT.multiply(cost.amount, found.rate), base)
    if abs(converted) >= LIMIT:
        raise Invalid.field("/amount", "out_of_range", f"In {base} the amount is larger than can be kept.")
    cost.rate, cost.rate_on = CONTEXT.quantize(found.rate, _RATE_QUANTUM), found.rate_on
    cost.amount, cost.base_amount = (CONTEXT.quantize(each, STORED_QUANTUM) for each in (cost.amount, converted))


def _check_amount(amount: Decimal) -> None:
    if amount == 0:
        raise Invalid.field("/amount", "out_of_range", "A cost is not zero.")


def _check_period(first: date, last: date) -> None:
    if last < first:
        raise Invalid.field("/period_end", "period_order")
    if (last - first).days >= LONGEST_PERIOD:
        raise Invalid.field("/period_end", "out_of_range", f"A cost covers at most {LONGEST_PERIOD:,} days.")


def _missing(cost: Cost, base: str) -> str:
    day, age = cost.period_start, longest_age(cost.workspace)
    span = f"on {day}" if not age else f"from {day - timedelta(days=age)} to {day}"
    return f"There is no rate {span}. Record what 1 {cost.currency} was in {base} on {day}."


def _save(cost: Cost) -> None:
    validate_row(cost)
    same = Cost.objects.in_workspace(cost.workspace).filter(external_id=cost.external_id).exclude(pk=cost.pk)
    if cost.external_id is not None and same.exists():
        taken = FieldProblem("/external_id", "already_exists", "Another cost has this external_id.")
        raise DomainError("already_exists", taken.detail, errors=[taken])
    cost.save()


def _spread(cost: Cost, now: datetime) -> None:
    """One row for each day that something falls on, in the channel, program and region that the partner has now."""
    partner, currency = cost.partner, cost.workspace.base_currency
    CostDay.objects.bulk_create(
        CostDay(
            workspace=cost.workspace,
            partner=partner,
            day=day,
            basis=CostBasis.RECORDED,
            cost=cost,
            channel=partner.channel,
            program=partner.program,
            region=partner.region,
            base_amount=amount,
            as_of=now,
        )
        for day, amount in evenly(cost.base_amount, cost.period_start, cost.period_end, currency, seed=str(cost.pk))
        if amount
    )


def _forget_days(cost: Cost) -> None:
    CostDay.objects.in_workspace(cost.workspace).filter(cost=cost).delete()
