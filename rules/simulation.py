"""What a draft rule, or a change to one, would do: the engine run twice over the same rows, and nothing kept of it.

One evaluation has the rules in force, the other the same rules with the simulated one put in. Both take the same
chunks of one pass over the rows, in memory that does not grow with their number but for the sales that refunds in
later chunks take back: a run reads those from its own items, a simulation has none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.money import CONTEXT
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Payee
from partners.recipients import read_id
from rules.calculation import earlier_rules
from rules.compilation import compiled, pinned_now
from rules.engine.allocation import Item
from rules.engine.evaluation import Evaluation, Outcome, Totals
from rules.engine.explanation import Fate, explain
from rules.engine.inputs import Row, RuleVersion
from rules.engine.refunds import Sale, SaleState
from rules.engine.ruleset import RuleSet
from rules.history import accumulators
from rules.ledger import Reads
from rules.models import CalculationRun, Rule, RuleStatus
from rules.models import RuleVersion as StoredVersion
from rules.services import create_rule, update_rule
from rules.simulated_rows import Name, Selection

CHANGES_LIMIT: Final = 100
"""Changed rows that are shown one by one."""
VERDICTS_LIMIT: Final = 200
"""Rules whose fate for one row is shown: the winner and the losers come first."""
ZERO: Final = Decimal(0)


class SimulatedRule(NamedTuple):
    """A rule as saving it would make it. A draft's ids are never anybody's."""

    version: RuleVersion
    name: str
    is_active: bool
    is_draft: bool


class RuleLabel(NamedTuple):
    """How people know a version. A draft has no id; nor is there one where no rule decided."""

    rule_id: str | None = None
    rule_name: str | None = None
    version: int | None = None
    is_simulated: bool = False


class RuleFate(NamedTuple):
    """What became of one rule on one row, and why."""

    rule: RuleLabel
    fate: Fate
    reason: str


class Result(NamedTuple):
    """What becomes of a row on one side; `verdicts` only where it is traced."""

    rule: RuleLabel
    outcome: Outcome
    verdicts: Sequence[RuleFate] = ()
    verdicts_left_out: int = 0


class RowResults(NamedTuple):
    """One row on both sides. `place` is where the request names it."""

    row: Row
    place: int | None
    before: Result
    after: Result


class PayeeTotals(NamedTuple):
    """What a payee gets on both sides, adjustments included."""

    payee_id: str
    payee_external_id: str | None
    payee_name: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """What the rule changes."""
        return CONTEXT.subtract(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the simulated rule changes. `matched_rows` go by it afterwards, refunds of its sales among them."""

    run: CalculationRun
    are_made_up: bool
    rows: int
    changed_rows: int
    matched_rows: int
    before: Totals
    after: Totals
    payees: Sequence[PayeeTotals]
    changes: Sequence[RowResults]
    traces: Sequence[RowResults]


def simulated_rule(*, actor: Actor, values: Mapping[str, Any], rule_id: Any = None) -> SimulatedRule:
    """A draft, or the rule `rule_id` with `values` changed: saved by the services that save rules, and taken back.

    Raises what they raise, with pointers below /rule.
    """
    with _problems_below("/rule"), transaction.atomic():
        if rule_id is None:
            saved = create_rule(actor=actor, **values)
        else:
            saved = update_rule(_rule(actor.workspace, rule_id), actor=actor, **values)
        stored = StoredVersion.objects.in_workspace(actor.workspace).select_related("rule")
        said = stored.get(pk=saved.active_version_id)
        [version] = compiled([said], actor.workspace)
        transaction.set_rollback(True)
    return SimulatedRule(version, said.name, said.status == RuleStatus.ACTIVE, rule_id is None)


def simulate(selection: Selection, rule: SimulatedRule | None) -> Simulation:
    """Evaluate the rows with and without the rule, in a part of the transaction that cannot write."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        comparison = _Comparison(selection, rule)
        comparison.evaluate()
        return comparison.simulation()


def _rule(workspace: Workspace, rule_id: Any) -> Rule:
    rule: Rule | None = Rule.objects.in_workspace(workspace).filter(pk=read_id(rule_id)).first()
    if rule is None:
        raise Invalid.field("/rule_id", "does_not_exist")
    return rule


@contextmanager
def _problems_below(pointer: str) -> Iterator[None]:
    """Say of refusals that what they point at stands below `pointer`."""
    try:
        yield
    except DomainError as error:
        problems = [FieldProblem(pointer + each.pointer, each.code, each.detail) for each in error.errors]
        raise DomainError(error.code, error.detail, errors=problems) from error


def _put_in(rules: RuleSet, simulated: SimulatedRule | None) -> RuleSet:
    """The rules with the simulated one in the place of what it said before, or without it if it is inactive."""
    if simulated is None:
        return rules
    others = [version for version in rules.versions if version.rule_id != simulated.version.rule_id]
    return RuleSet([*others, simulated.version] if simulated.is_active else others, rules.fallbacks)


class _PayeeKeys:
    """What ties among payees are broken by, read once and only where refunds need it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of(self, items: Iterable[Item]) -> dict[str, str]:
        """Of the payees of some items."""
        return {item.payee_id: self._all[item.payee_id] for item in items}

    @cached_property
    def _all(self) -> dict[str, str]:
        payees = Payee.objects.in_workspace(self._workspace).values_list("pk", "external_id")
        return {str(pk): external_id or str(pk) for pk, external_id in payees.iterator()}


@dataclass(slots=True)
class _Side:
    """One of the two evaluations, with what it adds up to."""

    rules: RuleSet
    evaluation: Evaluation
    settled: frozenset[str]
    keys: _PayeeKeys
    totals: Totals = field(default_factory=Totals)
    due: dict[str, Decimal] = field(default_factory=dict)
    _refunded: dict[str, Outcome] = field(default_factory=dict)
    """Sales that later refunds may take back, by id."""

    def take(self, chunk: Sequence[Row], sales: Mapping[str, Sale], refunded: set[Name]) -> list[Outcome]:
        """What becomes of the rows of a chunk; of those that are `refunded` it is remembered."""
        own = {sale.row.id: self._recalled(sale) for sale in sales.values()}
        own_sales = {refund_id: own[sale.row.id] for refund_id, sale in sales.items()}
        outcomes = self._counted(self.evaluation.evaluate_all(chunk, own_sales))
        if refunded:
            for outcome in outcomes:
                if outcome.row.type == "sale" and (outcome.row.source_id, outcome.row.external_id) in refunded:
                    self._refunded[outcome.row.id] = outcome
        return outcomes

    def finish(self) -> list[Outcome]:
        """What becomes of refunds that waited in vain; then the lines without a row."""
        outcomes = self._counted(self.evaluation.finish())
        for line in self.evaluation.adjustments():
            self.totals.adjust(line.amount)
            self._pay(line.payee_id, line.amount)
        return outcomes

    def _counted(self, evaluated: Iterable[Outcome]) -> list[Outcome]:
        outcomes = list(evaluated)
        for outcome in outcomes:
            self.totals.add(outcome)
            for item in outcome.items:
                self._pay(item.payee_id, item.amount)
        return outcomes

    def _pay(self, payee_id: str, amount: Decimal) -> None:
        self.due[payee_id] = CONTEXT.add(self.due.get(payee_id, ZERO), amount)

    def _recalled(self, sale: Sale) -> Sale:
        """The sale, as this side's own: the engine writes down in it what it finds out."""
        outcome = self._refunded.get(sale.row.id)
        if outcome is not None and outcome.items:
            items, keys = tuple(outcome.items), self.keys.of(outcome.items)
            return replace(sale, state=SaleState.POSTED, version=outcome.version, items=items, split_keys=keys)
        if outcome is not None and outcome.exception is not None:
            is_settled = sale.row.id in self.settled
            return replace(sale, state=SaleState.SETTLED if is_settled else SaleState.UNALLOCATED)
        return replace(sale)


class _Comparison:
    """Both sides over one pass of the rows."""

    def __init__(self, selection: Selection, simulated: SimulatedRule | None) -> None:
        run, history = selection.run, selection.history
        self._selection, self._simulated = selection, simulated
        self._version_id = None if simulated is None else simulated.version.id
        in_force = pinned_now(run.workspace).rule_set(run.workspace)
        rule_sets = (in_force, _put_in(in_force, simulated))
        self._earlier = earlier_rules(run, history)
        reads = Reads.of(version for each in (*rule_sets, *self._earlier.values()) for version in each.versions)
        self._chunks, self._finder = selection.read(reads)
        carried = accumulators(run) if selection.carries_measures else {}
        keys = _PayeeKeys(run.workspace)
        self._before, self._after = (
            _Side(
                rules,
                Evaluation(
                    rules,
                    run_id=str(run.pk),
                    zone=run.workspace.zone,
                    accumulators=carried,
                    earlier=self._earlier,
                    settled=history.settled,
                ),
                history.settled,
                keys,
            )
            for rules in rule_sets
        )
        self._changed_rows = self._matched_rows = 0
        self._changed: list[tuple[Outcome, Outcome]] = []
        self._traced: list[tuple[Outcome, Outcome]] = []

    def evaluate(self) -> None:
        """Chunk by chunk. What is refunded is read after the first chunk: then it is no less than the rows hold."""
        refunded: set[Name] | None = None
        for chunk in self._chunks:
            if refunded is None:
                refunded = self._selection.refunded_sales()
            sales = self._finder.sales_of(chunk)
            self._compare(self._before.take(chunk, sales, refunded), self._after.take(chunk, sales, refunded))
        self._compare(self._before.finish(), self._after.finish())

    def _compare(self, befores: Sequence[Outcome], afters: Sequence[Outcome]) -> None:
        for before, after in zip(befores, afters, strict=True):
            assert before.row is after.row
            if after.version is not None and after.version.id == self._version_id:
                self._matched_rows += 1
            if self._selection.places:
                self._traced.append((before, after))
            if _differ(before, after):
                self._changed_rows += 1
                if len(self._changed) < CHANGES_LIMIT:
                    self._changed.append((before, after))

    def simulation(self) -> Simulation:
        """What was found, with the names that people know."""
        places = self._selection.places
        labels = self._labels()
        changes = [self._both(pair, labels) for pair in self._changed]
        traces = [self._both(pair, labels, is_traced=True) for pair in self._traced]
        return Simulation(
            self._selection.run,
            self._selection.are_made_up,
            self._after.totals.rows,
            self._changed_rows,
            self._matched_rows,
            self._before.totals,
            self._after.totals,
            self._payees(),
            changes,
            sorted(traces, key=lambda trace: places[trace.row.id]),
        )

    def _payees(self) -> list[PayeeTotals]:
        """By the size of the difference, then by name of the payee."""
        workspace, before, after = self._selection.run.workspace, self._before.due, self._after.due
        payees = Payee.objects.in_workspace(workspace).filter(pk__in=list(before.keys() | after.keys()))
        totals = [
            PayeeTotals(str(pk), external_id, name, before.get(str(pk), ZERO), after.get(str(pk), ZERO))
            for pk, external_id, name in payees.values_list("pk", "external_id", "name")
        ]
        return sorted(totals, key=lambda each: (-abs(each.difference), each.payee_name, each.payee_id))

    # -- rows one by one -----------------------------------------------------------------------

    def _both(
        self, pair: tuple[Outcome, Outcome], labels: Mapping[str, RuleLabel], *, is_traced: bool = False
    ) -> RowResults:
        row = pair[0].row
        before, after = (
            self._result(side, outcome, labels, is_traced=is_traced)
            for side, outcome in zip((self._before, self._after), pair, strict=True)
        )
        return RowResults(row, self._selection.places.get(row.id), before, after)

    def _result(self, side: _Side, outcome: Outcome, labels: Mapping[str, RuleLabel], *, is_traced: bool) -> Result:
        version = outcome.version
        label = RuleLabel() if version is None else labels[version.id]
        verdicts = explain(self._rules_for(side, outcome.row), outcome.row) if is_traced else []
        shown = [RuleFate(labels[each.version.id], each.fate, each.reason) for each in verdicts[:VERDICTS_LIMIT]]
        return Result(label, outcome, shown, len(verdicts) - len(shown))

    def _rules_for(self, side: _Side, row: Row) -> Sequence[RuleVersion]:
        """The rules that compete for a row: none for a linked refund, or for what a person settled."""
        if row.is_linked_refund or row.id in side.settled:
            return ()
        return side.rules.versions if row.late_for is None else self._earlier[row.late_for].versions

    def _labels(self) -> dict[str, RuleLabel]:
        """Of every version that is shown, in one query."""
        outcomes = [outcome for pair in (*self._changed, *self._traced) for outcome in pair]
        shown = {outcome.version.id for outcome in outcomes if outcome.version is not None}
        if self._traced:
            sets = (self._before.rules, self._after.rules, *self._earlier.values())
            shown |= {version.id for each in sets for version in each.versions}
        stored = StoredVersion.objects.in_workspace(self._selection.run.workspace).filter(pk__in=list(shown))
        labels = {
            str(pk): RuleLabel(str(rule_id), name, number, str(pk) == self._version_id)
            for pk, rule_id, name, number in stored.values_list("pk", "rule_id", "name", "number")
        }
        if self._simulated is not None:
            version, name, _, is_draft = self._simulated
            rule_id = None if is_draft else version.rule_id
            labels[version.id] = RuleLabel(rule_id, name, version.number, is_simulated=True)
        return labels


def _differ(before: Outcome, after: Outcome) -> bool:
    """Whether another rule decides, or a payee gets something else; another version alone is no difference."""
    if before.version is after.version and before.items == after.items:
        return False
    if _rule_of(before) != _rule_of(after):
        return True
    return [item[:3] for item in before.items] != [item[:3] for item in after.items]


def _rule_of(outcome: Outcome) -> str | None:
    return None if outcome.version is None else outcome.version.rule_id
