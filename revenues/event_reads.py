"""Reads of the ledger with credits: pages of events, and what each is worth to whom under every model."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from alliantra.keysets import beyond
from alliantra.money import total
from alliantra.statements import run
from alliantra.workspaces.models import Workspace
from partners.models import Partner
from revenues.models import ATTRIBUTION_MODELS, AttributionModel, Conversion, RevenueEvent, RevenueSource, Touchpoint

NEWEST: Final = ("-occurred_at", "-id")
BY_CHANGE: Final = ("updated_at", "id")
Position: TypeAlias = tuple[datetime, UUID]
"""Where a row stands in one of the orders."""

_LATEST: Final = """
SELECT partner.id, event.id FROM unnest(%(partners)s::uuid[]) AS partner (id)
CROSS JOIN LATERAL (
    (SELECT occurred_at, id FROM revenues_revenueevent
     WHERE workspace_id = %(workspace)s AND partner_id = partner.id
       AND occurred_at >= %(first)s::timestamptz AND occurred_at < %(end)s::timestamptz
     ORDER BY occurred_at DESC, id DESC LIMIT %(count)s)
    UNION
    (SELECT DISTINCT event_occurred_at, event_id FROM revenues_touchpoint
     WHERE workspace_id = %(workspace)s AND partner_id = partner.id AND credits[%(place)s] > 0
       AND event_occurred_at >= %(first)s::timestamptz AND event_occurred_at < %(end)s::timestamptz
     ORDER BY event_occurred_at DESC, event_id DESC LIMIT %(count)s)
    ORDER BY occurred_at DESC, id DESC LIMIT %(count)s
) AS event
ORDER BY event.occurred_at DESC, event.id DESC
"""
_NOTHING: Final = Decimal(0)
_ALL: Final = Decimal(1)


class Worth(NamedTuple):
    """Credit for an event, and what its amount comes to by it."""

    credit: Decimal
    attributed_amount: Decimal


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step on the path to an event; lists have one element for each model, in the order of ATTRIBUTION_MODELS."""

    position: int
    event_id: UUID
    partner_id: UUID
    touched_at: datetime
    shares: Sequence[Decimal]
    parts: Sequence[Decimal]
    base_parts: Sequence[Decimal] | None

    @property
    def credits(self) -> dict[str, Decimal]:
        """By model."""
        return dict(zip(ATTRIBUTION_MODELS, self.shares, strict=True))

    @property
    def amounts(self) -> dict[str, Decimal]:
        """By model, in the event's currency."""
        return dict(zip(ATTRIBUTION_MODELS, self.parts, strict=True))


@dataclass(frozen=True, slots=True)
class CreditedEvent:
    """An event, and what it is worth to one partner, the holder; without one nobody has credit."""

    event: RevenueEvent
    attribution_model: str
    holder_id: UUID | None
    base_amount: Decimal | None
    path: Sequence[PathStep]

    @property
    def updated_at(self) -> datetime:
        """When the event or its credits changed last."""
        return self.event.updated_at

    @property
    def attribution(self) -> dict[str, Worth]:
        """Of the holder, by model."""
        held = self._held
        return {
            model: Worth(total(step.shares[place] for step in held), total(step.parts[place] for step in held))
            for place, model in enumerate(ATTRIBUTION_MODELS)
        }

    @property
    def credit(self) -> Decimal:
        """Of the holder, under the asked model."""
        return total(step.shares[self._place] for step in self._held)

    @property
    def attributed_amount(self) -> Decimal:
        """Of the holder, under the asked model, in the event's currency."""
        return total(step.parts[self._place] for step in self._held)

    @property
    def attributed_base_amount(self) -> Decimal | None:
        """The same in the base currency; None while its rate is missing."""
        parts = [step.base_parts[self._place] if step.base_parts else None for step in self._held]
        return None if None in parts else total(part for part in parts if part is not None)

    @property
    def _held(self) -> list[PathStep]:
        return [step for step in self.path if step.partner_id == self.holder_id]

    @property
    def _place(self) -> int:
        return ATTRIBUTION_MODELS.index(self.attribution_model)


@dataclass(frozen=True)
class EventLog:
    """A list of events: `rows`, in NEWEST order or BY_CHANGE, between two moments where they are given.

    With `changed_before` only what changed before that moment. With a partner: its own, and revenue of others in which
    it holds credit under the model. Any page costs the same.
    """

    rows: QuerySet[Any]
    order: tuple[str, str] = NEWEST
    first_at: datetime | None = None
    end_at: datetime | None = None
    partner: Partner | None = None
    attribution_model: str = AttributionModel.LAST_TOUCH
    changed_before: datetime | None = None

    def after(self, position: Position | None, limit: int) -> list[RevenueEvent]:
        """The first `limit` events beyond a position."""
        rows = self._between(self.rows, "occurred_at")
        if self.changed_before is not None:
            rows = rows.filter(updated_at__lt=self.changed_before)
        if self.partner is None:
            found = self._positions(rows, self.order, position, limit)
        else:
            own = self._positions(rows.filter(partner=self.partner), self.order, position, limit)
            others = self._credited(rows.exclude(partner=self.partner), position, limit)
            found = list(merge(own, others, reverse=self.order == NEWEST))[:limit]
        read = self.rows.select_related("source", "partner").in_bulk([identity for _, identity in found])
        return [read[identity] for _, identity in found]

    def _credited(self, others: QuerySet[Any], position: Position | None, limit: int) -> list[Position]:
        """Positions of others' events in which the partner holds credit."""
        held = Touchpoint.objects.filter(
            workspace=self.partner.workspace_id,  # type: ignore[union-attr]
            partner=self.partner,
            **{f"credits__{ATTRIBUTION_MODELS.index(self.attribution_model)}__gt": 0},
        )
        if self.order == BY_CHANGE:
            return self._positions(others.filter(Exists(held.filter(event=OuterRef("pk")))), BY_CHANGE, position, limit)
        # A scalar subquery is never made a join: the index over the partner's touches is walked, and no further.
        match = Subquery(others.filter(pk=OuterRef("event_id")).values("pk")[:1])
        touches = self._between(held.annotate(match=match).filter(match__isnull=False), "event_occurred_at")
        order = ("-event_occurred_at", "-event_id")
        return self._positions(touches.distinct(*(name[1:] for name in order)), order, position, limit)

    @staticmethod
    def _positions(
        rows: QuerySet[Any], order: tuple[str, str], position: Position | None, limit: int
    ) -> list[Position]:
        if position is not None:
            rows = rows.filter(beyond(order, position))
        return list(rows.order_by(*order).values_list(*(name.removeprefix("-") for name in order))[:limit])

    def _between(self, rows: QuerySet[Any], column: str) -> QuerySet[Any]:
        if self.first_at is not None:
            rows = rows.filter(**{f"{column}__gte": self.first_at})
        return rows if self.end_at is None else rows.filter(**{f"{column}__lt": self.end_at})


def events_of(workspace: Workspace) -> QuerySet[Any]:
    """All events of a workspace."""
    return RevenueEvent.objects.in_workspace(workspace)


def latest_of(
    workspace: Workspace,
    partner_ids: Sequence[UUID],
    *,
    first_at: datetime,
    end_at: datetime,
    count: int,
    attribution_model: str,
) -> list[CreditedEvent]:
    """The latest `count` events of each partner from `first_at` until before `end_at`, the newest first.

    They are those that an EventLog of the partner begins with: an event in which several hold credit is there for each.
    """
    parameters = {
        "workspace": workspace.pk,
        "partners": list(partner_ids),
        "first": first_at,
        "end": end_at,
        "count": count,
        "place": ATTRIBUTION_MODELS.index(attribution_model) + 1,
    }
    held = run(_LATEST, parameters)
    rows = events_of(workspace).select_related("source", "partner").in_bulk({identity for _, identity in held})
    pairs = [(holder, rows[identity]) for holder, identity in held]
    return _credited(workspace, pairs, attribution_model)


def called(rows: QuerySet[Any], workspace: Workspace, external_id: str) -> QuerySet[Any]:
    """Of these events those with an external id, in any source; naming the sources lets the unique key find them."""
    return rows.filter(source__in=RevenueSource.objects.in_workspace(workspace), external_id=external_id)


def credited(
    workspace: Workspace, events: Sequence[RevenueEvent], *, attribution_model: str, holder: Partner | None = None
) -> list[CreditedEvent]:
    """What events are worth to `holder`, or each to its own partner; two queries, whatever their number."""
    pairs = [(event.partner_id if holder is None else holder.pk, event) for event in events]
    return _credited(workspace, pairs, attribution_model)


def _credited(
    workspace: Workspace, pairs: Sequence[tuple[UUID | None, RevenueEvent]], attribution_model: str
) -> list[CreditedEvent]:
    """What each event is worth to the holder before it."""
    events = list({event.pk: event for _, event in pairs}.values())
    stored = _stored_paths(workspace, events)
    base_amounts = _base_amounts(workspace, events)
    return [
        CreditedEvent(
            event,
            attribution_model,
            holder_id,
            base_amounts.get(event.pk),
            stored.get(event.pk) or _own_path(event, base_amounts.get(event.pk)),
        )
        for holder_id, event in pairs
    ]


def _stored_paths(workspace: Workspace, events: Iterable[RevenueEvent]) -> dict[UUID, list[PathStep]]:
    paths: dict[UUID, list[PathStep]] = defaultdict(list)
    rows = Touchpoint.objects.in_workspace(workspace).filter(event__in=[event.pk for event in events])
    for row in sorted(rows, key=lambda row: row.position):
        paths[row.event_id].append(
            PathStep(
                row.position,
                row.touch_id,
                row.partner_id,
                row.touched_at,
                row.credits,
                row.amounts,
                row.base_amounts,
            )
        )
    return paths


def _own_path(event: RevenueEvent, base_amount: Decimal | None) -> list[PathStep]:
    """Where no path is stored, all credit is the event's own partner's, or nobody's."""
    if event.partner_id is None:
        return []
    amount = _NOTHING if event.amount is None else event.amount
    base = _NOTHING if event.amount is None else base_amount
    count = len(ATTRIBUTION_MODELS)
    base_parts = None if base is None else [base] * count
    step = (1, event.pk, event.partner_id, event.occurred_at)
    return [PathStep(*step, [_ALL] * count, [amount] * count, base_parts)]


def _base_amounts(workspace: Workspace, events: Sequence[RevenueEvent]) -> dict[UUID, Decimal | None]:
    """Amounts in the base currency; None for what waits for its rate or has no amount."""
    conversions = Conversion.objects.in_workspace(workspace).filter(event__in=[event.pk for event in events])
    converted = dict(conversions.values_list("event_id", "base_amount"))
    return {
        event.pk: event.amount if event.currency == workspace.base_currency else converted.get(event.pk)
        for event in events
    }
