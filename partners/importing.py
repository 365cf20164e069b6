"""The body of the job that imports many partners: part by part, each part and its progress in one commit.

A worker that dies leaves whole parts behind and the number of records they held; whoever goes on begins with the
part after. Doing a part again would change nothing: a partner is known by its external id.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError, FieldProblem
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import LeaseLost, attempt, attempt_all, renew, settle
from partners.import_files import Read
from partners.models import PartnerImport, PartnerImportPart, PartnerImportProblem, PartnerImportStatus
from partners.upserts import CREATED, UNCHANGED, UPDATED, Landed, Outcome, import_partners

log = structlog.get_logger(__name__)

CSV: Final = "csv"
"""The format whose records add to the metadata of a partner; those of others replace it."""


def work_on(batch_id: UUID) -> None:
    """Import what an import still waits for; nothing, if it waits for nothing.

    A database that goes away leaves it waiting; anything else that goes wrong makes it `failed`, with the reason.
    """
    attempt(PartnerImport, batch_id, run, _fail, status=PartnerImportStatus.IMPORTING)


def sweep() -> None:
    """Work on every import that waits."""
    attempt_all(PartnerImport, work_on)


def run(batch: PartnerImport) -> None:
    """Import the parts of a claimed import that are not imported yet: each, and how far it is, in one commit."""
    actor = actor_of(batch)
    parts = PartnerImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).order_by("position")
    while (part := parts.filter(position__gte=batch.rows_done).first()) is not None:
        with transaction.atomic():
            records = [restored(item) for item in part.records]
            outcomes = import_partners(actor=actor, records=records, adds_metadata=batch.format == CSV)
            _keep_problems(batch, part, outcomes)
            _count(batch, outcomes)
            renew(batch, rows_done=batch.rows_done, attempts=1, **_counts(batch))
    _finish(batch, actor)


def _count(batch: PartnerImport, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        name = outcome.outcome if isinstance(outcome, Landed) else "failed"
        setattr(batch, name, getattr(batch, name) + 1)
    batch.rows_done += len(outcomes)


def _counts(batch: PartnerImport) -> dict[str, int]:
    return {name: getattr(batch, name) for name in (CREATED, UPDATED, UNCHANGED, "failed")}


def _keep_problems(batch: PartnerImport, part: PartnerImportPart, outcomes: Sequence[Outcome]) -> None:
    PartnerImportProblem.objects.bulk_create(
        PartnerImportProblem(
            workspace=batch.workspace,
            batch=batch,
            index=part.position + place,
            external_id=_name_of(item),
            problem=stored_problem(outcome),
        )
        for place, (item, outcome) in enumerate(zip(part.records, outcomes, strict=True))
        if isinstance(outcome, DomainError)
    )


def _name_of(item: Any) -> str:
    """The external id that a refused record sends, as far as it can be told."""
    name = item.get("external_id") if isinstance(item, dict) else None
    return name.replace("\x00", "")[:200] if isinstance(name, str) else ""


def _finish(batch: PartnerImport, actor: Actor) -> None:
    """Say that all is done, and let the records go: what they did is in the audit log."""
    with transaction.atomic():
        settle(batch, status=PartnerImportStatus.COMPLETED, failure="", finished_at=current_time())
        PartnerImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
        audit.record(actor, "partner_import.completed", batch, after={"records": batch.rows_done, **_counts(batch)})


def _fail(batch: PartnerImport, reason: str) -> None:
    """Say why there is no result, unless the import has gone to another worker meanwhile."""
    try:
        with transaction.atomic():
            settle(batch, status=PartnerImportStatus.FAILED, failure=reason[:500], finished_at=current_time())
            PartnerImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
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


def stored_problem(error: DomainError) -> dict[str, Any]:
    """A refusal as it is kept."""
    errors = [{"pointer": each.pointer, "code": each.code, "detail": each.detail} for each in error.errors]
    return {"code": error.code, "detail": error.detail, "errors": errors}


def restored_problem(kept: Mapping[str, Any]) -> DomainError:
    """The refusal that `stored_problem` kept."""
    return DomainError(kept["code"], kept["detail"], errors=[FieldProblem(**each) for each in kept["errors"]])
