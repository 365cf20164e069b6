"""The body of the job that imports many partners, or foresees it: part by part, each and its progress in one commit.

A worker that dies leaves whole parts behind and the number of records they held; whoever goes on with an import
begins with the part after. Doing a part again would change nothing: a partner is known by its external id. What an
import would do is found out from the beginning again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError, FieldProblem
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import LeaseLost, attempt, attempt_all, renew, settle
from partners.import_files import Read
from partners.import_samples import SHOWN, shown, value_at
from partners.models import Partner, PartnerImport, PartnerImportPart, PartnerImportProblem, PartnerImportStatus
from partners.upserts import CREATED, UNCHANGED, UPDATED, Landed, Outcome, foresee_partners, import_partners

log = structlog.get_logger(__name__)

CSV: Final = "csv"
TABLES: Final = (CSV, "xlsx", "xls")
"""Formats whose records add to the metadata of a partner; those of others replace it."""
PREVIEW_DAYS: Final = 7
"""How long a file waits to be confirmed."""


def work_on(batch_id: UUID) -> None:
    """Do what an import waits for: find out what it would do, or do it. Nothing, if it waits for nothing.

    A database that goes away leaves it waiting; anything else that goes wrong makes it `failed`, with the reason.
    """
    attempt(PartnerImport, batch_id, _attempt, _fail)


def sweep() -> None:
    """Work on every import that waits."""
    attempt_all(PartnerImport, work_on)


def _attempt(batch: PartnerImport) -> None:
    if batch.status == PartnerImportStatus.ANALYSING:
        foresee(batch)
    else:
        run(batch)


def run(batch: PartnerImport) -> None:
    """Import the parts of a claimed import that are not imported yet: each, and how far it is, in one commit."""
    renew(batch, status=PartnerImportStatus.IMPORTING)
    batch.status, actor = PartnerImportStatus.IMPORTING, actor_of(batch)

    def act(records: Sequence[Read]) -> list[Outcome]:
        return import_partners(actor=actor, records=records, adds_metadata=batch.format in TABLES)

    _go_through(batch, act)
    _finish(batch, actor)


def foresee(batch: PartnerImport) -> None:
    """Find out what an import would do if it were done now, and say that it is ready."""
    with transaction.atomic():
        renew(batch)
        forget_outcomes(batch)
    repeated, known = _repeated(batch), dict[str, Partner]()

    def act(records: Sequence[Read]) -> list[Outcome]:
        adds = batch.format in TABLES
        outcomes = foresee_partners(batch.workspace, records, known=known, adds_metadata=adds)
        # Of a hundred thousand partners only those are held that come again.
        for name in known.keys() - repeated:
            del known[name]
        return outcomes

    _go_through(batch, act)
    settle(batch, status=PartnerImportStatus.READY, rows_done=0, failure="")


def forget_outcomes(batch: PartnerImport) -> None:
    """As if no record had been looked at; the import itself is not saved."""
    PartnerImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
    batch.count_anew()


def parts_of(batch: PartnerImport) -> QuerySet[PartnerImportPart]:
    """The parts that are kept of an import, in their order."""
    return PartnerImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).order_by("position")


def _repeated(batch: PartnerImport) -> set[str]:
    """External ids that more than one record has, but for blanks around them."""
    parts = parts_of(batch).values_list("records", flat=True)
    records = (item for item in chain.from_iterable(parts.iterator(chunk_size=20)) if isinstance(item, dict))
    names = Counter(str(record.get("external_id")).strip() for record in records)
    return {name for name, count in names.items() if count > 1}


def _go_through(batch: PartnerImport, act: Callable[[Sequence[Read]], list[Outcome]]) -> None:
    """Act on the parts that are not done yet, and keep what came of each."""
    parts = parts_of(batch)
    while (part := parts.filter(position__gte=batch.rows_done).first()) is not None:
        with transaction.atomic():
            outcomes = act([restored(item) for item in part.records])
            _keep_problems(batch, part, outcomes)
            _count(batch, part, outcomes)
            renew(batch, rows_done=batch.rows_done, attempts=1, sample=batch.sample, **_counts(batch))


def _count(batch: PartnerImport, part: PartnerImportPart, outcomes: Sequence[Outcome]) -> None:
    for place, outcome in enumerate(outcomes):
        name = outcome.outcome if isinstance(outcome, Landed) else "failed"
        setattr(batch, name, getattr(batch, name) + 1)
        if isinstance(outcome, Landed) and name != UNCHANGED and getattr(batch, name) <= SHOWN:
            batch.sample.append(shown(outcome, _row(part, place) or part.position + place + 1))
    batch.rows_done += len(outcomes)


def _row(part: PartnerImportPart, place: int) -> int | None:
    return part.numbers[place] if part.numbers else None


def _counts(batch: PartnerImport) -> dict[str, int]:
    return {name: getattr(batch, name) for name in (CREATED, UPDATED, UNCHANGED, "failed")}


def _keep_problems(batch: PartnerImport, part: PartnerImportPart, outcomes: Sequence[Outcome]) -> None:
    PartnerImportProblem.objects.bulk_create(
        PartnerImportProblem(
            workspace=batch.workspace,
            batch=batch,
            index=part.position + place,
            row=_row(part, place),
            external_id=_name_of(item),
            problem=stored_problem(outcome, item),
        )
        for place, (item, outcome) in enumerate(zip(part.records, outcomes, strict=True))
        if isinstance(outcome, DomainError)
    )


def _name_of(item: Any) -> str:
    """The external id that a record sends, as far as it can be told."""
    name = item.get("external_id") if isinstance(item, dict) else None
    return name.replace("\x00", "")[:200] if isinstance(name, str) else ""


# -- ends ------------------------------------------------------------------------------------------


def _finish(batch: PartnerImport, actor: Actor) -> None:
    """Say that all is done, and let the records go: what they did is in the audit log."""
    with transaction.atomic():
        settle(batch, status=PartnerImportStatus.COMPLETED, failure="", finished_at=current_time())
        parts_of(batch).delete()
        audit.record(actor, "partner_import.completed", batch, after={"records": batch.rows_done, **_counts(batch)})


def give_up(batch: PartnerImport, actor: Actor) -> None:
    """Cancel an import that the caller has locked. Partners that it has made or changed stay."""
    batch.status, batch.finished_at = PartnerImportStatus.CANCELLED, current_time()
    batch.let_go()
    batch.save()
    parts_of(batch).delete()
    audit.record(actor, "partner_import.cancelled", batch, after={"records": batch.rows_done, **_counts(batch)})


def cancel_forgotten(*, now: datetime) -> int:
    """Give up imports that nobody has confirmed within PREVIEW_DAYS; how many."""
    forgotten = PartnerImport.objects.filter(
        status=PartnerImportStatus.READY, created_at__lt=now - timedelta(days=PREVIEW_DAYS)
    )
    identities = list(forgotten.values_list("pk", flat=True))
    for identity in identities:
        with transaction.atomic():
            batch = forgotten.select_for_update(of=("self",)).select_related("workspace").filter(pk=identity).first()
            if batch is not None:
                give_up(batch, Actor.system(batch.workspace))
    return len(identities)


def _fail(batch: PartnerImport, reason: str) -> None:
    """Say why there is no result, unless the import has gone to another worker meanwhile."""
    try:
        with transaction.atomic():
            settle(batch, status=PartnerImportStatus.FAILED, failure=reason[:500], finished_at=current_time())
            parts_of(batch).delete()
            audit.record(actor_of(batch), "partner_import.failed", batch, after={"failure": reason[:500]})
    except LeaseLost:
        log.warning("partner_import.lease_lost", batch=str(batch.pk))


# -- what is kept between the request and the worker -----------------------------------------------


def stored_actor(actor: Actor) -> dict[str, Any]:
    """Who sent an import, as it is kept with it."""
    return {
        "kind": actor.kind,
        "name": actor.name,
        "id": str(actor.id) if actor.id else None,
        "address": actor.address,
        "request_id": actor.request_id,
    }


def actor_of(batch: PartnerImport) -> Actor:
    """Who sent an import, for the audit log; it permits nothing."""
    kept = batch.actor
    identity = UUID(kept["id"]) if kept["id"] else None
    return Actor(
        batch.workspace, kept["kind"], kept["name"], identity, frozenset(), kept["address"], kept["request_id"]
    )


def stored(record: Read) -> Any:
    """A record as it is kept: an object as it was sent, in a list why it could not be read."""
    return [stored_problem(record)] if isinstance(record, DomainError) else record


def restored(item: Any) -> Read:
    """The record that `stored` kept."""
    return restored_problem(item[0]) if isinstance(item, list) else item


def stored_problem(error: DomainError, item: Any = None) -> dict[str, Any]:
    """A refusal as it is kept, with the values in `item` that it is about."""
    errors = [
        {"pointer": each.pointer, "code": each.code, "detail": each.detail, "value": value_at(item, each.pointer)}
        for each in error.errors
    ]
    return {"code": error.code, "detail": error.detail, "errors": errors}


def restored_problem(kept: Mapping[str, Any]) -> DomainError:
    """The refusal that `stored_problem` kept."""
    errors = [FieldProblem(each["pointer"], each["code"], each["detail"]) for each in kept["errors"]]
    return DomainError(kept["code"], kept["detail"], errors=errors)
