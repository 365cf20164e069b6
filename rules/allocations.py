"""What a rule's allocations may say: checked against the workspace and brought into the stored form."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.money import STORED_DECIMALS, total
from alliantra.workspaces.models import Workspace
from partners.models import Payee

ALLOCATIONS_LIMIT = 500
ALL = Decimal(100)


def normalised_allocations(allocations: Sequence[Mapping[str, Any]], workspace: Workspace) -> list[dict[str, str]]:
    """`[{payee_id, percentage}]` as stored: ids and exact decimals as text, in the order sent.

    Takes payee ids as text or UUID and percentages as Decimal or int. Raises Invalid with a pointer
    per wrong place: allocations_required, too_long, does_not_exist, duplicate, out_of_range,
    allocation_total.
    """
    if not allocations:
        raise Invalid.field("/allocations", "allocations_required")
    if len(allocations) > ALLOCATIONS_LIMIT:
        raise Invalid.field("/allocations", "too_long", f"At most {ALLOCATIONS_LIMIT} allocations.")
    identities = [_identity(allocation["payee_id"]) for allocation in allocations]
    percentages = [Decimal(allocation["percentage"]) for allocation in allocations]
    problems = _payee_problems(identities, workspace) + _percentage_problems(percentages)
    if problems:
        raise Invalid(problems)
    if (together := total(percentages)) > ALL:
        raise Invalid.field("/allocations", "allocation_total", f"The percentages add up to {together}, above 100.")
    return [
        {"payee_id": str(identity), "percentage": percentage_text(percentage)}
        for identity, percentage in zip(identities, percentages, strict=True)
    ]


def percentage_text(percentage: Decimal) -> str:
    """Exact, without trailing zeros or exponent: 20.000000 → 20."""
    return f"{percentage.normalize():f}"


def allocation_total(allocations: Sequence[Mapping[str, Any]]) -> Decimal:
    """Σ of the percentages of stored allocations."""
    return total(Decimal(allocation["percentage"]) for allocation in allocations)


def _payee_problems(identities: Sequence[UUID | None], workspace: Workspace) -> list[FieldProblem]:
    """Payees that are missing, another workspace's, or named twice."""
    named = {identity for identity in identities if identity is not None}
    found = set(Payee.objects.in_workspace(workspace).filter(pk__in=named).values_list("pk", flat=True))
    problems: list[FieldProblem] = []
    for index, identity in enumerate(identities):
        pointer = f"/allocations/{index}/payee_id"
        if identity not in found:
            problems += Invalid.field(pointer, "does_not_exist").errors
        elif identity in identities[:index]:
            problems += Invalid.field(pointer, "duplicate", "A payee stands in a rule once.").errors
    return problems


def _percentage_problems(percentages: Sequence[Decimal]) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for index, percentage in enumerate(percentages):
        exponent = percentage.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -STORED_DECIMALS or not 0 < percentage <= ALL:
            detail = f"More than 0 and at most 100, with at most {STORED_DECIMALS} decimals."
            problems += Invalid.field(f"/allocations/{index}/percentage", "out_of_range", detail).errors
    return problems


def _identity(value: Any) -> UUID | None:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        return None
