"""What a rule's allocations may say: checked against the workspace and brought into the stored form.

One allocation names a recipient (a payee, or a payee group whose members are kept as they are now), what it
gets (a percentage, a fixed amount per sale, or tiers), and perhaps a cap and a floor per run. Stored are ids
and exact decimals as text, in the order sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.money import STORED_DECIMALS, total
from alliantra.workspaces.models import Workspace
from partners.models import Payee, PayeeGroup
from partners.recipients import read_id, recipient_problems

ALLOCATIONS_LIMIT = 500
TIERS_LIMIT = 50
ALL = Decimal(100)
RECIPIENTS = ("payee_id", "payee_group_id")
SHARES = ("percentage", "fixed_amount", "tiers")
BOUNDS = ("cap_amount", "floor_amount")
Stored = dict[str, Any]


class AllocationValues(TypedDict, total=False):
    """One recipient and what it gets; of RECIPIENTS and of SHARES one each."""

    payee_id: UUID | str
    payee_group_id: UUID | str
    percentage: Decimal | int
    fixed_amount: Decimal | int
    tiers: Sequence[Mapping[str, Decimal | int]]
    cap_amount: Decimal | int
    floor_amount: Decimal | int


def stored_allocations(allocations: Sequence[Mapping[str, Any]], workspace: Workspace) -> list[Stored]:
    """`allocations` in the stored form, groups with their members of now. Raises Invalid with every wrong place."""
    if not allocations:
        raise Invalid.field("/allocations", "allocations_required")
    if len(allocations) > ALLOCATIONS_LIMIT:
        raise Invalid.field("/allocations", "too_long", f"At most {ALLOCATIONS_LIMIT} allocations.")
    problems = [problem for index, sent in enumerate(allocations) for problem in _choice_problems(index, sent)]
    if not problems:
        problems = [
            *_unknown(Payee, "payee_id", "A payee stands in a rule once.", allocations, workspace),
            *_unknown(PayeeGroup, "payee_group_id", "A group stands in a rule once.", allocations, workspace),
            *(problem for index, sent in enumerate(allocations) for problem in _number_problems(index, sent)),
        ]
    if problems:
        raise Invalid(problems)
    members = _members(allocations, workspace)
    return [_stored(sent, members) for sent in allocations]


def refuse_contradictions(allocations: Sequence[Stored], *, is_tiered: bool, is_counted: bool) -> None:
    """Raise Invalid for stored allocations that do not fit the rule's type, or that give away more than there is."""
    problems: list[FieldProblem] = []
    for index, allocation in enumerate(allocations):
        pointer = f"/allocations/{index}"
        if is_tiered and "tiers" not in allocation:
            problems += Invalid.field(f"{pointer}/tiers", "required", "A tiered rule has tiers in each.").errors
        if not is_tiered and "tiers" in allocation:
            problems += Invalid.field(f"{pointer}/tiers", "invalid", "Only a rule of type tiered has tiers.").errors
        problems += _tier_problems(pointer, allocation.get("tiers", ()), is_counted=is_counted)
    if problems:
        raise Invalid(problems)
    together = max((_given_away(allocations, reached) for reached in _bounds(allocations)), default=Decimal(0))
    if together > ALL:
        raise Invalid.field("/allocations", "allocation_total", f"The percentages add up to {together}, above 100.")


def allocation_total(allocations: Sequence[Stored]) -> Decimal | None:
    """Σ of the percentages of stored allocations; None unless every one is a percentage."""
    if not all("percentage" in allocation for allocation in allocations):
        return None
    return total(Decimal(allocation["percentage"]) for allocation in allocations)


def decimal_text(number: Decimal | int | str) -> str:
    """Exact, without trailing zeros or exponent: 20.000000 → 20."""
    return f"{Decimal(number).normalize():f}"


# -- checking --------------------------------------------------------------------------------------


def _choice_problems(index: int, sent: Mapping[str, Any]) -> list[FieldProblem]:
    """Not exactly one recipient, or not exactly one kind of share."""
    problems: list[FieldProblem] = []
    for names in (RECIPIENTS, SHARES):
        named = [name for name in names if name in sent]
        if not named:
            detail = f"Send {' or '.join(names)}."
            problems += Invalid.field(f"/allocations/{index}/{names[0]}", "required", detail).errors
        for name in named[1:]:
            detail = f"Send {named[0]} or {name}, not both."
            problems += Invalid.field(f"/allocations/{index}/{name}", "invalid", detail).errors
    if "tiers" in sent and not 1 <= len(sent["tiers"]) <= TIERS_LIMIT:
        detail = f"Send 1 to {TIERS_LIMIT} bands."
        problems += Invalid.field(f"/allocations/{index}/tiers", "out_of_range", detail).errors
    for place, tier in enumerate(sent.get("tiers", ())):
        problems += [
            problem
            for name in ("from", "percentage")
            if name not in tier
            for problem in Invalid.field(f"/allocations/{index}/tiers/{place}/{name}", "required").errors
        ]
    return problems


def _unknown(
    model: Any, name: str, twice: str, allocations: Sequence[Mapping[str, Any]], workspace: Workspace
) -> list[FieldProblem]:
    ids = [
        (f"/allocations/{index}/{name}", read_id(sent[name])) for index, sent in enumerate(allocations) if name in sent
    ]
    return recipient_problems(model, ids, workspace, twice=twice)


def _number_problems(index: int, sent: Mapping[str, Any]) -> list[FieldProblem]:
    pointer = f"/allocations/{index}"
    problems: list[FieldProblem] = []
    if "percentage" in sent:
        problems += _percentage_problem(f"{pointer}/percentage", sent["percentage"], may_be_zero=False)
    for name in ("fixed_amount", *BOUNDS):
        if name in sent and not (_is_storable(sent[name]) and sent[name] > 0):
            problems += Invalid.field(f"{pointer}/{name}", "out_of_range", "Expected more than 0.").errors
    if not problems and all(name in sent for name in BOUNDS) and sent["floor_amount"] > sent["cap_amount"]:
        problems += Invalid.field(f"{pointer}/floor_amount", "invalid", "The floor is above the cap.").errors
    for place, tier in enumerate(sent.get("tiers", ())):
        problems += _percentage_problem(f"{pointer}/tiers/{place}/percentage", tier["percentage"], may_be_zero=True)
    return problems


def _percentage_problem(pointer: str, percentage: Any, *, may_be_zero: bool) -> list[FieldProblem]:
    number = Decimal(percentage)
    if _is_storable(number) and (number >= 0 if may_be_zero else number > 0) and number <= ALL:
        return []
    least = "At least 0" if may_be_zero else "More than 0"
    detail = f"{least} and at most 100, with at most {STORED_DECIMALS} decimals."
    return Invalid.field(pointer, "out_of_range", detail).errors


def _is_storable(number: Decimal | int) -> bool:
    exponent = Decimal(number).as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -STORED_DECIMALS


def _tier_problems(pointer: str, tiers: Sequence[Mapping[str, str]], *, is_counted: bool) -> list[FieldProblem]:
    """Bands start at 0 and ascend, so that there is no gap; of a count they start at whole numbers."""
    starts = [Decimal(tier["from"]) for tier in tiers]
    problems: list[FieldProblem] = []
    for place, start in enumerate(starts):
        if (place == 0 and start != 0) or (place > 0 and start <= starts[place - 1]):
            problems += Invalid.field(f"{pointer}/tiers/{place}/from", "tier_order").errors
        elif is_counted and start != start.to_integral_value():
            detail = "Bands of a count begin at whole numbers."
            problems += Invalid.field(f"{pointer}/tiers/{place}/from", "invalid", detail).errors
    return problems


def _bounds(allocations: Iterable[Stored]) -> set[Decimal]:
    """Measures at which some rate changes."""
    return {Decimal(0), *(Decimal(tier["from"]) for each in allocations for tier in each.get("tiers", ()))}


def _given_away(allocations: Iterable[Stored], reached: Decimal) -> Decimal:
    """Σ of the rates that apply where the measure has reached `reached`."""
    return total(_rate_at(allocation, reached) for allocation in allocations)


def _rate_at(allocation: Stored, reached: Decimal) -> Decimal:
    if "tiers" not in allocation:
        return Decimal(allocation.get("percentage", 0))
    rates = [Decimal(tier["percentage"]) for tier in allocation["tiers"] if Decimal(tier["from"]) <= reached]
    return rates[-1]


# -- storing ---------------------------------------------------------------------------------------


def _members(allocations: Iterable[Mapping[str, Any]], workspace: Workspace) -> dict[UUID | None, list[Stored]]:
    """Group → its members of now, as a version keeps them."""
    ids = [read_id(sent["payee_group_id"]) for sent in allocations if "payee_group_id" in sent]
    groups = PayeeGroup.objects.in_workspace(workspace).filter(pk__in=ids).with_members() if ids else ()
    return {
        group.pk: [
            {"payee_id": str(member.payee_id), "weight": decimal_text(member.weight)} for member in group.members.all()
        ]
        for group in groups
    }


def _stored(sent: Mapping[str, Any], members: Mapping[UUID | None, list[Stored]]) -> Stored:
    stored: Stored = {name: str(read_id(sent[name])) for name in RECIPIENTS if name in sent}
    if "payee_group_id" in sent:
        stored["members"] = members[read_id(sent["payee_group_id"])]
    stored |= {name: decimal_text(sent[name]) for name in ("percentage", "fixed_amount", *BOUNDS) if name in sent}
    if "tiers" in sent:
        stored["tiers"] = [{name: decimal_text(number) for name, number in tier.items()} for tier in sent["tiers"]]
    return stored
