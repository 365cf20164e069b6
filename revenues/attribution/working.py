"""Working out credits: the paths to a chunk of revenue events, and to the refunds that name them."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import NamedTuple

from alliantra.workspaces.models import Workspace
from revenues.attribution.credits import Path, steps_to
from revenues.attribution.reading import Revenue, Touches, refunds_of, sales_of, touches_before
from revenues.attribution.storing import Effects, Line, replace, stored_lines

SPAN = 30
"""Days of the lookback where the workspace says nothing else."""


class Left(NamedTuple):
    """What a chunk leaves to be done: refunds whose sale is not here, and sales with more refunds than it may hold."""

    waiting: list[str]
    sales: list[Revenue]


def lookback(workspace: Workspace) -> timedelta:
    """How long before a revenue event a touch counts: a setting of the workspace, from 1 to 365 days."""
    days = workspace.settings.get("attribution_lookback_days", SPAN)
    return timedelta(days=min(max(int(days), 1), 365))


def work_out(workspace: Workspace, events: Iterable[Revenue], effects: Effects, *, limit: int) -> Left:
    """Work out the paths to these events and to up to `limit` refunds of them; store what differs.

    What follows from that is added to `effects`, which the caller writes.
    """
    chunk = {event.id: event for event in events}
    sales = [event for event in chunk.values() if event.type == "sale"]
    refunds = refunds_of(workspace, sales, limit=limit)
    chunk |= {refund.id: refund for refund in refunds}
    found = _sales_by_refund(workspace, chunk.values())
    stored = stored_lines(workspace, {*chunk, *(sale.id for sale in found.values())})
    paths = _own_paths(workspace, [event for event in chunk.values() if event.id not in found])
    for refund_id, sale in found.items():
        path = paths[sale.id] if sale.id in chunk else _stored_path(sale, stored.get(sale.id, []))
        paths[refund_id] = path or _path_to_sale(chunk[refund_id], sale)
    replace(workspace, chunk.values(), stored, paths, effects)
    waiting = [event.id for event in chunk.values() if event.names_a_sale and event.id not in found]
    return Left(waiting, sales if len(refunds) == limit else [])


def _sales_by_refund(workspace: Workspace, events: Collection[Revenue]) -> dict[str, Revenue]:
    """The sale of each refund among these events that names one which is here."""
    refunds = [event for event in events if event.names_a_sale]
    sales = sales_of(workspace, refunds)
    found = {refund.id: sales.get((refund.source_id, refund.original_external_id)) for refund in refunds}
    return {refund_id: sale for refund_id, sale in found.items() if sale is not None}


def _own_paths(workspace: Workspace, events: Collection[Revenue]) -> dict[str, Path | None]:
    """The path of each event over its customer's touches; None where all credit is its own partner's or nobody's."""
    known = [event for event in events if event.customer_id]
    touches = touches_before(workspace, known, lookback(workspace))
    paths: dict[str, Path | None] = dict.fromkeys(event.id for event in events)
    for event in known:
        paths[event.id] = _own_path(event, touches)
    return paths


def _own_path(event: Revenue, touches: Touches) -> Path | None:
    before = [step for step in touches.get((event.customer_id, event.occurred_at), ()) if step.touch_id != event.id]
    steps = steps_to(before, event.step)
    leads_elsewhere = any(step.partner_id != event.partner_id for step in steps)
    return Path(steps, event.occurred_at, event.split_seed) if leads_elsewhere else None


def _stored_path(sale: Revenue, lines: list[Line]) -> Path | None:
    return Path(tuple(line.step for line in lines), sale.occurred_at, sale.split_seed) if lines else None


def _path_to_sale(refund: Revenue, sale: Revenue) -> Path | None:
    """Where the sale's credit is all its own partner's, so is the refund's."""
    if sale.step is None or sale.partner_id == refund.partner_id:
        return None
    return Path((sale.step,), sale.occurred_at, sale.split_seed)
