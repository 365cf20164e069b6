"""Use cases of payouts: exporting what is due, importing what was paid, closing what differs. No money moves."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from alliantra.errors import DomainError
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from partners.models import Payee
from partners.recipients import read_id
from rules.history import lock_settlement
from rules.models import (
    BalanceEntry,
    CalculationRun,
    Confirmation,
    ConfirmationBatch,
    Payout,
)
from rules.payables import Payable, payables
from rules.payouts.confirmation_files import ConfirmationFile, ConfirmationProblem, ConfirmedPayment


class Imported(NamedTuple):
    """What became of a file of payments."""

    batch: ConfirmationBatch
    problems: Sequence[ConfirmationProblem]
    skipped: int


@transaction.atomic
def export_payouts(run: CalculationRun, *, actor: Actor, form: str) -> list[Payable]:
    """What is to be paid of a locked run, now fixed. Raises run_not_locked."""
    included = _fix_payouts(run, actor)
    amount = sum((payable.amount_due for payable in included), Decimal(0))
    after = {"format": form, "payees": len(included), "amount_due": str(amount), "currency": run.currency}
    audit.record(actor, "run.payouts_exported", run, after=after)
    return included


@transaction.atomic
def import_confirmations(
    run: CalculationRun, *, actor: Actor, payments: ConfirmationFile, digest: str, file_name: str = ""
) -> Imported:
    """Take in what was really paid, as evidence; each payment lowers the balance of its payee.

    A payment whose reference was imported before is a problem, not a second payment. Raises run_not_locked, and
    payments_already_imported for the same file again.
    """
    _fix_payouts(run, actor)
    batches = ConfirmationBatch.objects.in_workspace(run.workspace).filter(run=run)
    if batches.filter(file_digest=digest).exists():
        raise DomainError("payments_already_imported")
    known, repeated = _split_by_reference(run, payments.rows)
    problems = sorted([*payments.problems, *repeated], key=lambda problem: problem.row)
    batch = ConfirmationBatch.objects.create(
        workspace=run.workspace,
        run=run,
        shape=payments.shape,
        file_name=file_name,
        file_digest=digest,
        rows=len(known),
        problems=[problem._asdict() for problem in problems],
        imported_by=actor.name,
    )
    payees = _payees_named(run, known)
    for payment in known:
        _post(batch, payment, _payee_of(payment, payees))
    after = {"shape": payments.shape, "file_name": file_name, "rows": len(known), "problems": len(problems)}
    audit.record(actor, "run.confirmations_imported", run, after=after)
    return Imported(batch, problems, len(payments.skipped))


@transaction.atomic
def resolve_payouts(
    run: CalculationRun, *, actor: Actor, reason: str, payout_ids: Sequence[UUID | str] | None = None
) -> int:
    """Close differences between due and paid with a reason, all of them or those named; how many that were.

    What was not paid stays in the payee's balance, and is part of what the next run finds due. Raises
    payout_closed if there is nothing to close.
    """
    _refuse_unlocked(run)
    lock_settlement(run.workspace)
    rows = Payout.objects.in_workspace(actor.workspace).filter(run=run).select_for_update()
    if payout_ids is not None:
        rows = rows.filter(pk__in=payout_ids)
    differing = [payout for payout in rows if not payout.is_closed]
    if not differing:
        raise DomainError("payout_closed")
    for payout in differing:
        before = audit.snapshot(payout)
        payout.reason, payout.resolved_by, payout.resolved_at = reason, actor.name, now()
        payout.save()
        audit.record(actor, "payout.resolved", payout, before=before, after=audit.snapshot(payout))
    return len(differing)


def _fix_payouts(run: CalculationRun, actor: Actor) -> list[Payable]:
    """What is due to included payees, stored for those it was not stored for yet."""
    assert run.workspace_id == actor.workspace.pk
    _refuse_unlocked(run)
    lock_settlement(run.workspace)
    included = [payable for payable in payables(run) if payable.is_included]
    fixed = set(Payout.objects.in_workspace(run.workspace).filter(run=run).values_list("payee_id", flat=True))
    Payout.objects.bulk_create(
        [
            Payout(
                workspace=run.workspace,
                run=run,
                payee=payable.payee,
                named=payable.payee.name,
                currency=run.currency,
                expected=payable.amount_due,
            )
            for payable in included
            if payable.payee.pk not in fixed
        ],
        batch_size=1_000,
    )
    return included


def _refuse_unlocked(run: CalculationRun) -> None:
    if not run.is_locked:
        raise DomainError("run_not_locked", f"The run is {run.status}.")


def _split_by_reference(
    run: CalculationRun, payments: Sequence[ConfirmedPayment]
) -> tuple[list[ConfirmedPayment], list[ConfirmationProblem]]:
    """Payments that are new, and problems of those whose reference is known already."""
    references = [payment.reference for payment in payments if payment.reference]
    stored = Confirmation.objects.in_workspace(run.workspace).filter(reference__in=references)
    used = set(stored.values_list("reference", flat=True))
    detail = "A payment with this reference was imported before."
    problems = [
        ConfirmationProblem(payment.row, "reference", "duplicate_reference", detail)
        for payment in payments
        if payment.reference in used
    ]
    return [payment for payment in payments if payment.reference not in used], problems


def _payees_named(run: CalculationRun, payments: Sequence[ConfirmedPayment]) -> Mapping[str, Payee]:
    """What payments may call a payee → that payee: external id, id, address, or a name that only one has."""
    names = {name for payment in payments for name in (payment.payee, *payment.candidates) if name}
    ids = [identity for name in names if (identity := read_id(name)) is not None]
    rows = Payee.objects.in_workspace(run.workspace).filter(
        Q(external_id__in=names) | Q(pk__in=ids) | Q(contact_email__in=names) | Q(name__in=names)
    )
    found: dict[str, Payee] = {}
    several: set[str] = set()
    for payee in rows.order_by("created_at", "id"):
        for name in {payee.name, payee.contact_email} - {""}:
            if name in found and found[name] != payee:
                several.add(name)
            found[name] = payee
    certain = {name: payee for name, payee in found.items() if name not in several}
    for payee in rows:
        certain |= {str(payee.pk): payee} | ({payee.external_id: payee} if payee.external_id else {})
    return certain


def _payee_of(payment: ConfirmedPayment, payees: Mapping[str, Payee]) -> Payee | None:
    named = (payees.get(name) for name in (payment.payee, *payment.candidates))
    return next((payee for payee in named if payee is not None), None)


def _post(batch: ConfirmationBatch, payment: ConfirmedPayment, payee: Payee | None) -> None:
    """Store one payment beside what was due; lower the balance of a known payee."""
    run, named = batch.run, payee.name if payee else payment.payee[:200]
    mine = {"payee": payee} if payee else {"payee": None, "named": named}
    payout, _ = Payout.objects.in_workspace(run.workspace).get_or_create(
        workspace=run.workspace, run=run, currency=payment.currency, **mine, defaults={"named": named}
    )
    payout.confirmed += payment.amount
    payout.confirmations_count += 1
    payout.reason, payout.resolved_by, payout.resolved_at = "", "", None
    payout.save()
    Confirmation.objects.create(
        workspace=run.workspace,
        batch=batch,
        payout=payout,
        row=payment.row,
        named=payment.payee[:200],
        currency=payment.currency,
        amount=payment.amount,
        reference=payment.reference[:200],
        paid_at=payment.paid_at,
    )
    if payee is not None:
        BalanceEntry.objects.create(
            workspace=run.workspace,
            payee=payee,
            currency=payment.currency,
            kind=BalanceEntry.Kind.PAYMENT,
            amount=-payment.amount,
            run=run,
            reference=payment.reference[:200],
        )
