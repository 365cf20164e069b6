"""The stepper of a run's page: where the run stands on its way to being closed, and what is to be done next."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Role
from alliantra.workspaces.permissions import ROLES
from rules.admin.payouts import Reconciliation, Review, money
from rules.models import CalculationRun, RunStatus
from rules.readiness import Finding, Severity

LABELS = (
    ("Readiness", "readiness"),
    ("Calculate", "totals"),
    ("Review", "payees"),
    ("Approve", "next"),
    ("Lock", "next"),
    ("Statements", "payees"),
    ("Payout export", "payees"),
    ("Reconcile", "reconciliation"),
)
"""Name of each step, and the part of the page that it is about."""
READINESS, CALCULATE, REVIEW, APPROVE, LOCK, STATEMENTS, EXPORT, RECONCILE = range(len(LABELS))
CLOSED = len(LABELS)
GIVEN_UP = -1


class State(StrEnum):
    """How far a step is."""

    DONE = "done"
    CURRENT = "current"
    AHEAD = "ahead"


class Step(NamedTuple):
    """One step; `note` is what it came to."""

    label: str
    anchor: str
    state: State
    note: str


class Advice(NamedTuple):
    """What is to be done now, in a sentence, and the names of the commands that do it."""

    text: str
    commands: Sequence[str] = ()


class Standing(NamedTuple):
    """Everything that decides where a run stands."""

    run: CalculationRun
    findings: Sequence[Finding]
    review: Review
    reconciliation: Reconciliation

    def count(self, severity: Severity) -> int:
        """Findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def place(self) -> int:
        """Number of the step that is to be done now, CLOSED or GIVEN_UP."""
        run, paid = self.run, self.reconciliation
        if run.status == RunStatus.VOID:
            return GIVEN_UP
        if run.is_locked and not paid.entries:
            return EXPORT if self.review.included else CLOSED
        if run.is_locked:
            return CLOSED if paid.is_closed else RECONCILE
        if not run.is_calculated or run.is_stale:
            return CALCULATE
        if run.status == RunStatus.APPROVED:
            return LOCK
        return REVIEW if self.count(Severity.BLOCKER) else APPROVE

    def steps(self) -> list[Step]:
        """All of them, in their order."""
        notes, place = self._notes(), self.place
        return [
            Step(label, anchor, _state(number, place), notes.get(number, ""))
            for number, (label, anchor) in enumerate(LABELS)
        ]

    def _notes(self) -> dict[int, str]:
        run = self.run
        notes = {}
        if self.findings:
            notes[READINESS] = counted(self.count(Severity.WARNING), "warning")
        if run.status == RunStatus.CALCULATING:
            notes[CALCULATE] = f"{run.progress} %"
        elif run.status == RunStatus.FAILED:
            notes[CALCULATE] = "failed"
        elif run.is_calculated:
            notes[CALCULATE] = "stale" if run.is_stale else counted(run.rows, "row")
            notes[REVIEW] = counted(self.count(Severity.BLOCKER), "blocker") if not run.is_locked else ""
            notes[APPROVE] = f"by {run.approved_by}" if run.approved_by else ""
        return notes | (self._notes_after_lock() if run.is_locked else {})

    def _notes_after_lock(self) -> dict[int, str]:
        included, entries = self.review.included, self.reconciliation.entries
        still_open = len(self.reconciliation.open)
        return {
            LOCK: f"by {self.run.locked_by}",
            STATEMENTS: f"{len(self.review.payables):,} written",
            EXPORT: counted(included, "payee") if included or entries else "nobody is due",
            RECONCILE: (f"{still_open:,} open" if still_open else "complete") if entries else "",
        }

    def advice(self, actor: Actor) -> Advice | None:
        """What this actor or somebody else is to do now; nothing where nothing is left or a worker is at it."""
        place, run = self.place, self.run
        if place == CALCULATE:
            return _recalculation(run) if run.status != RunStatus.CALCULATING else None
        if place == REVIEW:
            found = self.count(Severity.BLOCKER)
            stand = "stands" if found == 1 else "stand"
            return Advice(f"{counted(found, 'thing')} {stand} in the way of approving this run: see readiness below.")
        if place == APPROVE:
            return _approval(run, actor)
        if place == LOCK:
            return _locking(actor)
        return self._payout(place, actor)

    def _payout(self, place: int, actor: Actor) -> Advice | None:
        due = f"{counted(self.review.included, 'payee')}, {money(self.review.amount_due, self.run.currency)}"
        if place == EXPORT:
            text = f"The statements are written. To be paid: {due}."
            return _who("write:runs", actor, Advice(text, ("export",)), "exports it")
        if place == RECONCILE:
            is_paid = any(entry.confirmations_count for entry in self.reconciliation.entries)
            if not is_paid:
                text = f"Exported: {due}. Pay it, then upload what was really paid."
                return _who("write:runs", actor, Advice(text, ("confirmations",)), "does that")
            found = counted(len(self.reconciliation.open), "difference")
            text = f"{found} between what was due and what was paid: upload further payments, or explain what is left."
            return _who("write:runs", actor, Advice(text, ("confirmations", "resolve")), "does that")
        if place == CLOSED and self.reconciliation.entries:
            return Advice("Closed: everything that was due is paid or explained.")
        return Advice("Closed: nobody is due anything of it.") if place == CLOSED else None


def counted(number: int, noun: str) -> str:
    """`1 payee`, `1,200 payees`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_own(run: CalculationRun, actor: Actor) -> bool:
    """Whether the actor asked for the calculation, in a workspace where somebody else has to approve it."""
    may_alone = run.workspace.settings.get("self_approval", False)
    return actor.pk == run.requested_by_id and not may_alone


def roles_with(permission: str) -> str:
    """Roles that have a permission, as people name them."""
    names = [label.lower() for role, label in Role.choices if permission in ROLES[role]]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _state(number: int, place: int) -> State:
    if number == place:
        return State.CURRENT
    return State.DONE if number < place else State.AHEAD


def _recalculation(run: CalculationRun) -> Advice:
    text = (
        f"The calculation failed: {run.failure_reason}"
        if run.status == RunStatus.FAILED
        else "These figures are stale: another run was locked meanwhile and took something of this one. "
        "Calculate it again before it is approved or locked."
    )
    return Advice(text, ("recalculate", "reopen"))


def _approval(run: CalculationRun, actor: Actor) -> Advice:
    if is_own(run, actor):
        others = roles_with("approve:runs")
        return Advice(f"You asked for this calculation, so somebody else has to approve it: {others}.")
    ready = Advice("Nothing stands in the way. Approve the run if its figures are right.", ("approve",))
    return _who("approve:runs", actor, ready, "approves it")


def _locking(actor: Actor) -> Advice:
    text = "Approved. Locking writes the statements and posts to the balances; it cannot be undone."
    return _who("write:runs", actor, Advice(text, ("lock",)), "locks it")


def _who(permission: str, actor: Actor, advice: Advice, verb: str) -> Advice:
    """The advice for who may follow it; who it waits for, for everybody else."""
    if actor.allows(permission):
        return advice
    who = roles_with(permission)
    return Advice(f"{advice.text} {who[0].upper()}{who[1:]} {verb}.")
