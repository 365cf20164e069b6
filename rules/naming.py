"""What an explanation calls the things that it is about: five queries, however many rules there are."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from alliantra.workspaces.models import Workspace
from partners.models import Partner, Payee, PayeeGroup
from revenues.models import Product, RevenueSource
from rules.engine.explanation import REFERENCES, Fate, Verdict, mismatches
from rules.engine.inputs import Row, RuleVersion
from rules.engine.wording import Labels
from rules.models import RuleVersion as StoredVersion
from rules.retracing import Retraced


def labels_of(retraced: Retraced, verdicts: Sequence[Verdict]) -> Labels:
    """Names of payees, partners, products and sources, titles of rule versions."""
    workspace, version = retraced.workspace, retraced.outcome.version
    titled = {verdict.version.id for verdict in verdicts} | ({version.id} if version else set())
    stored = StoredVersion.objects.in_workspace(workspace).filter(pk__in=titled).values_list("pk", "name")
    wanted = _wanted(retraced.sale_row or retraced.row, verdicts)
    wanted[Payee] |= set(_payees(retraced))
    names: dict[str, str] = {}
    for model, ids in wanted.items():
        names |= _names(model, ids, workspace)
    return Labels(names, {str(pk): name for pk, name in stored}, workspace.zone)


def recipients_of(retraced: Retraced, labels: Labels) -> list[str]:
    """Who the allocations of the outcome's version are for, in their order: payees and groups."""
    version = retraced.outcome.version
    if version is None:
        return [labels.name(item.payee_id) for item in retraced.outcome.items]
    stored = StoredVersion.objects.in_workspace(retraced.workspace).get(pk=version.id)
    groups = {share["payee_group_id"] for share in stored.allocations if "payee_group_id" in share}
    names = _names(PayeeGroup, groups, retraced.workspace)
    return [
        names.get(share["payee_group_id"], "a payee group")
        if "payee_group_id" in share
        else labels.name(share["payee_id"])
        for share in stored.allocations
    ]


def _wanted(row: Row, verdicts: Sequence[Verdict]) -> dict[Any, set[str]]:
    """Ids that a scope wants in vain, and what the row has instead."""
    models = dict(zip(REFERENCES, (RevenueSource, Product, Partner), strict=True))
    wanted: dict[Any, set[str]] = {model: set() for model in (*models.values(), Payee)}
    wanted[Partner] |= {row.partner_id} if row.partner_id else set()
    unnamed = Labels()
    for verdict in verdicts:
        for each in mismatches(verdict.version, row, unnamed) if verdict.fate is Fate.NO_MATCH else ():
            if each.dimension in models:
                wanted[models[each.dimension]] |= {*each.wanted, *each.found}
    return wanted


def _payees(retraced: Retraced) -> Iterator[str]:
    """Everybody who gets something, or shares an allocation with somebody who does."""
    outcome, rules = retraced.outcome, retraced.rules
    yield from (item.payee_id for item in outcome.items)
    yield from (str(item.payee_id) for item in retraced.sale_items)
    version: RuleVersion | None = outcome.version
    if version is not None:
        yield from (member.payee_id for allocation in version.allocations for member in allocation.members)
    fallback = rules.fallbacks.of(retraced.row)
    if fallback is not None:
        yield fallback.payee_id


def _names(model: Any, ids: set[str], workspace: Workspace) -> dict[str, str]:
    known = [UUID(identity) for identity in ids]
    rows = model.objects.in_workspace(workspace).filter(pk__in=known) if known else ()
    return {str(row.pk): row.name for row in rows}
