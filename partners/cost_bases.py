"""What a partner cost in a period, by how sure it is: the parts of the cost that figures show."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Max, Sum

from alliantra.workspaces.models import Workspace
from partners.models import CostBasis, CostDay, Partner


class BasisCost(NamedTuple):
    """What one basis comes to in the base currency, and as of when."""

    basis: CostBasis
    amount: Decimal
    as_of: datetime | None


def costs_by_basis(workspace: Workspace, partner: Partner, *, first: date, last: date) -> Sequence[BasisCost]:
    """The parts of a partner's cost on these days, both inclusive, in the order of CostBasis; those that are there."""
    days = CostDay.objects.in_workspace(workspace).filter(partner=partner, day__range=(first, last))
    sums = days.order_by().values("basis").annotate(amount=Sum("base_amount"), latest=Max("as_of"))
    found = {row["basis"]: row for row in sums}
    return [
        BasisCost(basis, found[basis.value]["amount"], found[basis.value]["latest"])
        for basis in CostBasis
        if basis.value in found
    ]
