"""What a change to a rule would do, on the rule's own pages: payees before and after, and the rows that change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.timezone import now

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.money import CONTEXT, is_currency, total
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.forms import date_input
from alliantra.workspaces.console.theme import TextInput
from alliantra.workspaces.models import Workspace
from rules.admin.forms import RuleForm
from rules.admin.lines import EXCEPTIONS
from rules.engine.evaluation import Totals
from rules.engine.inputs import Row
from rules.models import ExceptionCode, Rule, RuleStatus
from rules.simulated_rows import PeriodRows
from rules.simulation import Result, RowResults, SimulatedRule, Simulation, simulate, simulated_rule

PAYEES_SHOWN: Final = 50
CHANGES_SHOWN: Final = 20
TRY: Final = "_simulate"
"""Name of the button that tries what was typed instead of saving it."""
ENTER: Final = f"$el.form.elements.{TRY}.click()"
"""What the enter key does in the fields of the period, where it would save the rule otherwise."""
RULE_FORM: Final = "rule_form"
"""Id of the rule's form on its page."""
TOTALS: Final = (
    ("Allocated to payees", "allocated"),
    ("Adjustments: caps, floors, corrections of tiers", "adjustments"),
    ("Remainder, left with the company", "remainder"),
    ("Exceptions, taken by no rule", "exceptions"),
)
"""What is said of a side's total, and its name."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount on both sides."""

    label: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """What the rule changes."""
        return CONTEXT.subtract(self.after, self.before)


class Side(NamedTuple):
    """What becomes of a row on one side: who decides it, and who gets what."""

    decided_by: str
    is_simulated: bool
    shares: Sequence[tuple[str, Decimal]]


class ChangedRow(NamedTuple):
    """A row of which another rule decides, or whose items differ."""

    row: Row
    before: Side
    after: Side


class PeriodForm(forms.Form):
    """Which rows to try a rule on: all that occurred in the period. What is not given is last month's."""

    period_start = forms.DateField(label="From", widget=date_input())
    period_end = forms.DateField(label="To", widget=date_input())
    currency = forms.CharField(max_length=3, widget=TextInput(attrs={"size": 5}))

    def __init__(self, workspace: Workspace, given: QueryDict, *, form: str = "") -> None:
        """`form` is the id of the form that the fields are sent with, where they stand outside of it."""
        first, last = last_month(now().astimezone(workspace.zone).date())
        asked: dict[str, Any] = {"period_start": first, "period_end": last, "currency": workspace.base_currency}
        super().__init__({**asked, **{name: given[name] for name in asked if name in given}})
        self.workspace = workspace
        for field in self.fields.values() if form else ():
            field.widget.attrs |= {"form": form, "x-on:keydown.enter.prevent": ENTER}

    def clean_currency(self) -> str:
        """The code of a currency, in capital letters."""
        code = str(self.cleaned_data["currency"]).upper()
        if not is_currency(code):
            raise ValidationError("Write the ISO 4217 code of a currency, such as EUR.", code="invalid_currency")
        return code


def last_month(today: date) -> tuple[date, date]:
    """First and last day of the month before."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def simulated(period: PeriodForm, rule: SimulatedRule) -> Simulation | None:
    """What the rule would do to the rows of the period; None where the period is refused, and why at its field."""
    if not period.is_valid():
        return None
    try:
        return simulate(PeriodRows(period.workspace, includes_locked=True, **period.cleaned_data), rule)
    except Invalid as refusal:
        for problem in refusal.errors:
            name = problem.pointer.strip("/")
            period.add_error(name if name in period.fields else None, problem.detail)
        return None


# -- rules that are tried --------------------------------------------------------------------------


def typed_rule(form: RuleForm) -> SimulatedRule:
    """The rule as saving the form would make it. Raises what saving raises, with the same pointers."""
    try:
        rule_id = None if form.is_new else form.instance.pk
        return simulated_rule(actor=form.actor, values=form.values(), rule_id=rule_id)
    except DomainError as refusal:
        problems = [FieldProblem(each.pointer.removeprefix("/rule"), each.code, each.detail) for each in refusal.errors]
        raise DomainError(refusal.code, refusal.detail, errors=problems) from refusal


def switched_rule(rule: Rule, actor: Actor) -> SimulatedRule:
    """The rule deactivated; activated, if it is not active. Raises what the services raise."""
    status = RuleStatus.INACTIVE if is_active(rule) else RuleStatus.ACTIVE
    return simulated_rule(actor=actor, values={"status": status}, rule_id=rule.pk)


def is_active(rule: Rule) -> bool:
    """Whether the rule takes part in calculations."""
    return rule.active_version is not None and rule.active_version.status == RuleStatus.ACTIVE


def advice(form: RuleForm) -> str:
    """Why a simulation of what was typed can change nothing."""
    if not form.is_new and not form.changed_data:
        return "Nothing was changed in the form, so before and after are the same."
    status = form.cleaned_data["status"]
    if status != RuleStatus.ACTIVE:
        label = RuleStatus(status).label.lower()
        return f"With the status {label} the rule takes no part in calculations. Choose active to see what it would do."
    return ""


# -- what is shown ---------------------------------------------------------------------------------


def shown_simulation(found: Simulation | None) -> dict[str, Any]:
    """Context of simulation.html."""
    if found is None:
        return {}
    names = {payee.payee_id: payee.payee_name for payee in found.payees}
    befores, afters = (total(getattr(payee, side) for payee in found.payees) for side in ("before", "after"))
    return {
        "simulation": found,
        "totals": _figures(found.before, found.after),
        "payees": found.payees[:PAYEES_SHOWN],
        "more_payees": len(found.payees[PAYEES_SHOWN:]),
        "all_payees": Figure("All payees", befores, afters),
        "changes": [_changed(change, names) for change in found.changes[:CHANGES_SHOWN]],
    }


def _figures(before: Totals, after: Totals) -> list[Figure]:
    return [Figure(label, getattr(before, name), getattr(after, name)) for label, name in TOTALS]


def _changed(change: RowResults, names: Mapping[str, str]) -> ChangedRow:
    return ChangedRow(change.row, _side(change.before, names), _side(change.after, names))


def _side(result: Result, names: Mapping[str, str]) -> Side:
    shares = [(names[item.payee_id], item.amount) for item in result.outcome.items]
    return Side(_decided_by(result), result.rule.is_simulated, shares)


def _decided_by(result: Result) -> str:
    label, exception = result.rule, result.outcome.exception
    if label.rule_name is not None:
        return f"{label.rule_name} v{label.version}"
    if exception is None:
        return "fallback of the payee"
    return "no rule" if exception == ExceptionCode.UNALLOCATED else EXCEPTIONS[ExceptionCode(exception)]
