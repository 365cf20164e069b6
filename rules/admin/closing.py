"""Commands of a run, from recalculating it to resolving its payouts, and what each asks before."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from alliantra.errors import Invalid
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.base import Command
from alliantra.workspaces.console.forms import is_uuid
from alliantra.workspaces.console.theme import Dropdown, FileInput, TextArea
from revenues.imports.tables import UnreadableTable
from rules import services
from rules.admin.payouts import money, reconciliation_of, review_of
from rules.admin.steps import counted
from rules.models import CalculationRun, ExceptionDecision, RunStatus
from rules.payables import Exclusion
from rules.payouts.confirmation_files import read_confirmations
from rules.payouts.confirmation_shapes import AUTO, SHAPE_KEYS, UnknownConfirmationShape
from rules.readiness import open_exceptions

FILE_LIMIT_BYTES: Final = 5_000_000
SHAPE_LABELS: Final = {"generic": "Generic file", "paypal": "Export of PayPal", "wise": "Export of Wise"}
REPEATABLE = (RunStatus.CALCULATED, RunStatus.FAILED)
DECISION_CHOICES: Final = [
    (ExceptionDecision.Kind.ACCEPTED.value, "Accept: they no longer block this run, and are offered to the next"),
    (ExceptionDecision.Kind.SETTLED.value, "Settle for good: nothing will ever be allocated of them"),
]


class IdsField(forms.CharField):
    """Ids of the rows that were chosen, joined by commas and not seen; None for all of them."""

    def __init__(self) -> None:
        super().__init__(required=False, widget=forms.HiddenInput())

    def clean(self, value: Any) -> list[str] | None:
        """A list of well-formed ids."""
        ids = [part for part in str(super().clean(value)).split(",") if part]
        if not all(is_uuid(part) for part in ids):
            raise ValidationError("Choose rows of the list.", code="invalid_id")
        return ids or None


def _reason(help_text: str) -> forms.CharField:
    return forms.CharField(max_length=500, widget=TextArea(attrs={"rows": 3}), help_text=help_text)


class VoidForm(forms.Form):
    """Why a run is given up."""

    reason = _reason("Kept with the run and in the audit log.")


class DecisionForm(forms.Form):
    """What is decided about rows that no rule took."""

    decision = forms.ChoiceField(choices=DECISION_CHOICES, widget=Dropdown())
    reason = _reason("Kept with each row.")
    exception_ids = IdsField()


class ResolutionForm(forms.Form):
    """Why differences between what was due and what was paid are closed."""

    reason = _reason("Such as a bank fee. What was not paid stays in the balance and is part of the next payout.")
    payout_ids = IdsField()


class ConfirmationsForm(forms.Form):
    """A file of what was really paid."""

    file = forms.FileField(
        widget=FileInput(),
        help_text="CSV, XLS or XLSX, up to 5 MB: the columns payee_external_id, currency, amount, reference and "
        "paid_at, or an export of PayPal or Wise.",
    )
    shape = forms.ChoiceField(
        label="Kind of file",
        choices=[(AUTO, "Found out by the header"), *((key, SHAPE_LABELS.get(key, key)) for key in SHAPE_KEYS)],
        initial=AUTO,
        widget=Dropdown(),
    )

    def clean_file(self) -> Any:
        """At most FILE_LIMIT_BYTES."""
        file = self.cleaned_data["file"]
        if file.size > FILE_LIMIT_BYTES:
            raise ValidationError("The file is larger than 5 MB.", code="file_too_large")
        return file


def _recalculate(row: CalculationRun, actor: Actor) -> str:
    return f"{services.recalculate_run(row, actor=actor)} is being calculated again."


def _approve(row: CalculationRun, actor: Actor) -> str:
    return f"{services.approve_run(row, actor=actor)} is approved."


def _lock(row: CalculationRun, actor: Actor) -> str:
    run = services.lock_run(row, actor=actor)
    return f"{run} is locked: {counted(run.statements.count(), 'statement')} written."


def _void(row: CalculationRun, actor: Actor, reason: str) -> str:
    return f"{services.void_run(row, actor=actor, reason=reason)} is void."


def _decide(row: CalculationRun, actor: Actor, decision: str, reason: str, exception_ids: Sequence[str] | None) -> str:
    count = services.decide_exceptions(row, actor=actor, decision=decision, reason=reason, exception_ids=exception_ids)
    return f"{counted(count, 'exception')} {decision}."


def _export(row: CalculationRun, actor: Actor) -> str:
    included = services.export_payouts(row, actor=actor, form="csv")
    return f"What is due to {counted(len(included), 'payee')} is fixed; the file is being downloaded."


def _confirmations(row: CalculationRun, actor: Actor, file: Any, shape: str) -> str:
    content: bytes = file.read()
    try:
        payments = read_confirmations(content, shape=shape, zone=row.workspace.zone)
    except (UnreadableTable, UnknownConfirmationShape) as error:
        raise Invalid.field("/file", "unreadable_file", str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    name = str(file.name)[:200]
    batch, problems, skipped = services.import_confirmations(
        row, actor=actor, payments=payments, digest=digest, file_name=name
    )
    said = [f"{counted(batch.rows, 'payment')} imported"]
    said += [f"{counted(skipped, 'row')} left out that are no completed payments"] if skipped else []
    said += [f"{counted(len(problems), 'row')} with a problem: see the file below"] if problems else []
    return f"{', '.join(said)}."


def _resolve(row: CalculationRun, actor: Actor, reason: str, payout_ids: Sequence[str] | None) -> str:
    count = services.resolve_payouts(row, actor=actor, reason=reason, payout_ids=payout_ids)
    return f"{counted(count, 'difference')} resolved."


def _foresee_lock(row: CalculationRun, _form: forms.Form | None) -> str:
    review = review_of(row)
    held, small = review.withheld(Exclusion.ON_HOLD), review.withheld(Exclusion.BELOW_MINIMUM)
    posted = money(row.allocated_total + row.adjustments_total, row.currency)
    return (
        f"{counted(len(review.payables), 'statement')} will be written and {posted} posted to balances. "
        f"Then {money(review.amount_due, row.currency)} can be paid to {counted(review.included, 'payee')}; "
        f"withheld: {held:,} on hold, {small:,} below their minimum."
    )


def _foresee_decision(row: CalculationRun, form: forms.Form | None) -> str:
    if chosen := _chosen(form, "exception_ids"):
        return f"{counted(chosen, 'exception')} chosen; those that are decided already stay as they are."
    return f"All {counted(open_exceptions(row).count(), 'exception')} of {row} that are still open."


def _foresee_resolution(row: CalculationRun, form: forms.Form | None) -> str:
    if chosen := _chosen(form, "payout_ids"):
        return f"{counted(chosen, 'payee')} chosen; those without an open difference stay as they are."
    return f"All {counted(len(reconciliation_of(row).open), 'difference')} of {row} that are still open."


def _chosen(form: forms.Form | None, field: str) -> int:
    ids = str(form[field].value() or "") if form is not None else ""
    return len(ids.split(",")) if ids else 0


COMMANDS: Final[Sequence[Command[Any]]] = (
    Command(
        "approve",
        "Approve",
        _approve,
        permission="approve:runs",
        icon="verified",
        is_primary=True,
        is_available=lambda run: run.status == RunStatus.CALCULATED and not run.is_stale,
    ),
    Command(
        "lock",
        "Lock",
        _lock,
        warning="A locked run never changes again, nor do its statements. Whatever is corrected later lands in the "
        "next run. Runs that stood on the same revenue become stale and are calculated again.",
        foresee=_foresee_lock,
        icon="lock",
        is_primary=True,
        is_available=lambda run: run.status == RunStatus.APPROVED and not run.is_stale,
    ),
    Command(
        "export",
        "Payout export",
        _export,
        icon="download",
        is_primary=True,
        is_available=lambda run: run.is_locked,
    ),
    Command(
        "confirmations",
        "Upload payments",
        _confirmations,
        warning="Confirmations are evidence: they lower the balances of their payees and cannot be taken back. "
        "A payment whose reference is known already is not counted twice.",
        form=ConfirmationsForm,
        icon="upload_file",
        is_primary=True,
        is_available=lambda run: run.is_locked,
    ),
    Command(
        "resolve",
        "Resolve differences",
        _resolve,
        form=ResolutionForm,
        foresee=_foresee_resolution,
        icon="task_alt",
        is_available=lambda run: run.is_locked and bool(reconciliation_of(run).open),
    ),
    Command(
        "decide",
        "Decide exceptions",
        _decide,
        form=DecisionForm,
        foresee=_foresee_decision,
        icon="gavel",
        is_available=lambda run: run.is_calculated and open_exceptions(run).exists(),
    ),
    Command(
        "recalculate",
        "Recalculate",
        _recalculate,
        icon="refresh",
        is_available=lambda run: run.status in REPEATABLE,
    ),
    Command(
        "reopen",
        "Recalculate",
        _recalculate,
        warning="This run is approved. Calculating it again withdraws the approval; somebody else has to approve "
        "the new figures.",
        icon="refresh",
        is_available=lambda run: run.status == RunStatus.APPROVED,
    ),
    Command(
        "void",
        "Void",
        _void,
        warning="A void run is given up for ever and its figures are no longer shown. Its rows go to the next run.",
        form=VoidForm,
        icon="block",
        is_dangerous=True,
        is_available=lambda run: not run.is_locked and run.status != RunStatus.VOID,
    ),
)
