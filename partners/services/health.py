"""What jobs find out about partners: scores, and the health status with its history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from partners.models import Partner, PartnerMetrics, PartnerScore, StatusChange, StatusEvaluation
from webhooks.event_types import EventType
from webhooks.services import emit_all

GAP_DAYS: Final = 3
"""An evaluation older than this says nothing about whether the next one agrees with it."""
EVALUATION_DAYS: Final = 60
"""Evaluations are kept for so long; a change keeps its evidence for ever."""
_LOCK: Final = "partner health"


@dataclass(frozen=True, slots=True)
class ScoredPartner:
    """The score of one partner, 0 to 100, or None with the reason; and its factors."""

    partner_id: UUID
    score: Decimal | None
    reason: str = ""
    factors: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class EvaluatedPartner:
    """What the status of one partner should be, and the evidence for it."""

    partner_id: UUID
    status: str
    evidence: Mapping[str, Any]


@transaction.atomic
def record_scores(rows: Sequence[ScoredPartner], *, actor: Actor, day: date) -> None:
    """Write the scores of `day`, in place of any that were written for it; metrics of a later day stay."""
    workspace = actor.workspace
    lock_name(workspace, _LOCK)
    ids = [row.partner_id for row in rows]
    of_these = {"workspace": workspace, "partner__in": ids}
    newer = set(PartnerMetrics.objects.filter(**of_these, scored_on__gt=day).values_list("partner_id", flat=True))
    PartnerMetrics.objects.bulk_create(
        (
            PartnerMetrics(
                workspace=workspace,
                partner_id=row.partner_id,
                score=row.score,
                score_reason=row.reason,
                score_factors=list(row.factors),
                scored_on=day,
            )
            for row in rows
            if row.partner_id not in newer
        ),
        update_conflicts=True,
        unique_fields=["workspace", "partner"],
        update_fields=["score", "score_reason", "score_factors", "scored_on", "updated_at"],
    )
    without = [row.partner_id for row in rows if row.score is None]
    PartnerScore.objects.filter(workspace=workspace, partner__in=without, day=day).delete()
    PartnerScore.objects.bulk_create(
        (
            PartnerScore(workspace=workspace, partner_id=row.partner_id, day=day, score=row.score)
            for row in rows
            if row.score is not None
        ),
        update_conflicts=True,
        unique_fields=["workspace", "partner", "day"],
        update_fields=["score", "updated_at"],
    )


@transaction.atomic
def record_evaluations(rows: Sequence[EvaluatedPartner], *, actor: Actor, day: date) -> int:
    """Write the evaluations of `day`, in place of any that were written for it, and change statuses; how many.

    A status changes when this evaluation and the one before agree on another. It is changed, audited and announced in
    one transaction, once, however often and by however many the day is evaluated. To evaluate a day again after a later
    one was evaluated changes no status.
    """
    workspace = actor.workspace
    lock_name(workspace, _LOCK)
    StatusEvaluation.objects.bulk_create(
        (
            StatusEvaluation(
                workspace=workspace, partner_id=row.partner_id, day=day, status=row.status, evidence=dict(row.evidence)
            )
            for row in rows
        ),
        update_conflicts=True,
        unique_fields=["workspace", "partner", "day"],
        update_fields=["status", "evidence", "updated_at"],
    )
    forgotten = day - timedelta(days=EVALUATION_DAYS)
    of_these = StatusEvaluation.objects.in_workspace(workspace).filter(partner__in=[row.partner_id for row in rows])
    of_these.filter(day__lt=forgotten).delete()
    return _change(_agreed(rows, actor, day), actor, day)


def _agreed(rows: Iterable[EvaluatedPartner], actor: Actor, day: date) -> dict[UUID, EvaluatedPartner]:
    """Evaluations that the one before agrees with, of partners for which nothing later has been decided."""
    by_partner = {row.partner_id: row for row in rows}
    near = StatusEvaluation.objects.in_workspace(actor.workspace).filter(
        partner__in=by_partner, day__gte=day - timedelta(days=GAP_DAYS)
    )
    before: dict[UUID, str] = {}
    decided = set(
        StatusChange.objects.in_workspace(actor.workspace)
        .filter(partner__in=by_partner, day__gte=day)
        .values_list("partner_id", flat=True)
    )
    for partner, on, status in near.order_by("day").values_list("partner_id", "day", "status"):
        if on < day:
            before[partner] = status
        elif on > day:
            decided.add(partner)
    return {
        partner: row
        for partner, row in by_partner.items()
        if before.get(partner) == row.status and partner not in decided
    }


def _change(agreed: Mapping[UUID, EvaluatedPartner], actor: Actor, day: date) -> int:
    """Give partners the status that was agreed on, where they have another; how many. Only those are locked."""
    partners = Partner.objects.in_workspace(actor.workspace)
    others = [
        partner
        for partner, status in partners.filter(pk__in=agreed).values_list("pk", "status")
        if status != agreed[partner].status
    ]
    if not others:
        return 0
    locked = partners.filter(pk__in=others).order_by("pk").select_for_update(no_key=True)
    changes = [_changed(partner, agreed[partner.pk], actor, day) for partner in locked]
    StatusChange.objects.bulk_create(changes)
    emit_all(EventType.PARTNER_STATUS_CHANGED, actor=actor, payloads=map(_announcement, changes))
    return len(changes)


def _changed(partner: Partner, evaluated: EvaluatedPartner, actor: Actor, day: date) -> StatusChange:
    """The change, its partner saved and audited."""
    before = partner.status
    partner.status = evaluated.status
    partner.save(update_fields=["status", "updated_at"])
    audit.record(actor, "partner.status_changed", partner, before={"status": before}, after={"status": partner.status})
    return StatusChange(
        workspace=actor.workspace,
        created_at=now(),
        partner=partner,
        day=day,
        previous_status=before,
        status=partner.status,
        evidence=dict(evaluated.evidence),
    )


def _announcement(change: StatusChange) -> dict[str, Any]:
    partner = change.partner
    return {
        "id": str(partner.pk),
        "external_id": partner.external_id,
        "name": partner.name,
        "previous_status": change.previous_status,
        "status": change.status,
        "changed_at": change.created_at.isoformat(),
    }
