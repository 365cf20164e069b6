"""How well the health model foresees declines, on real sales; and the shipped prior, fitted anew.

`python -m tests.benchmarks.health_prior` prints what reports/health/prior.py holds. The sales are those of an online
shop (UCI "Online Retail", its customers assigned to partners by a stable hash, or by country) and of supermarket
departments (M5). Held out is a fifth of the customers, countries and departments, each in turn; or the time after a
day. Real customers mixed by a hash hardly ever stop all at once, so stops are injected: sales end on a day 6 to 27
days before the cut.
"""

import csv
import gzip
import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt
from pathlib import Path
from typing import Final

from reports.health.features import HISTORY_AT_LEAST, Features
from reports.health.model import Example, Model, fit
from reports.health.prior import PRIOR
from reports.health.training import FIXED, OUTCOMES_AT_LEAST, STRENGTH, example_at
from tests import benchmarks

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
SHOP: Final = DATA / "online-retail" / "transactions-2010-12-to-2011-05.csv.gz"
DEPARTMENTS: Final = DATA / "forecast" / "m5-store-department-daily.csv.gz"
PARTNERS: Final = (20, 50, 100, 200, 400)
STEP: Final = 14
"""Days between two cuts of one series."""
AHEAD: Final = 28
RIDGE: Final = 5.0
STOPS_SHARE: Final = 0.03
SHORTEST_STOP, LONGEST_STOP = 6, 27
THRESHOLD: Final = 0.35
FOLDS: Final = 5

Series = Mapping[str, Sequence[float]]
Panels = dict[str, Series]
"""Name of a data set → its series."""
Places = list[tuple[int, Example]]
"""Examples, each with the number of its cut, counted from the end."""


@dataclass(frozen=True)
class Sales:
    """All there is: lines of customer, country, day and amount, and the departments."""

    lines: Sequence[tuple[str, str, int, float]]
    departments: Series

    def panels(self, keeps: Callable[[str], bool], share: float) -> Panels:
        """Data sets of the customers, countries and departments to keep, which are `share` of all."""
        found = {f"{count} partners": self._mixed(keeps, max(2, round(count * share))) for count in PARTNERS}
        found["countries"] = self._panel(lambda _, country: country if keeps(country) else None)
        found["departments"] = {name: values for name, values in self.departments.items() if keeps(name)}
        return found

    def _mixed(self, keeps: Callable[[str], bool], size: int) -> Series:
        return self._panel(lambda customer, _: f"{_hash(customer) % size}" if customer and keeps(customer) else None)

    def _panel(self, key: Callable[[str, str], str | None]) -> Series:
        days = max(line[2] for line in self.lines) + 1
        series: dict[str, list[float]] = defaultdict(lambda: [0.0] * days)
        for customer, country, day, amount in self.lines:
            name = key(customer, country)
            if name is not None:
                series[name][day] += amount
        return dict(series)


def main() -> None:
    """Print the prior, and how good it is."""
    if not SHOP.exists() or not DEPARTMENTS.exists():
        print(f"Skipped: there is no {DATA}.", file=sys.stderr)
        return
    sales = read_sales()
    whole = sales.panels(lambda _: True, 1)
    stops = [example for series in whole.values() for _, example in stopped(series)]
    fitted = fitted_to({name: [one for _, one in places(series)] for name, series in whole.items()}, stops)
    print("fitted to everything:")
    show(fitted)
    print("largest distance of the shipped prior from this one:", round(distance(fitted, PRIOR), 6))
    judged, seen = held_out(sales)
    report("held out by customer, country, department", judged)
    report_stops(seen)
    report_time(whole)


def run() -> list[benchmarks.Row]:
    """AUC on the shop's sales that were held out, beside chance."""
    if not SHOP.exists() or not DEPARTMENTS.exists():
        print(f"health_prior skipped: there is no {DATA}.", file=sys.stderr)
        return []
    judged, _ = held_out(read_sales())
    ours = auc([one for name, group in judged.items() if name != "departments" for one in group])
    return [benchmarks.Row("declines foreseen in sales held out, AUC × 100", ours * 100, 50, ours / 0.5, ">= 1.35")]


# -- sales -----------------------------------------------------------------------------------------


def read_sales() -> Sales:
    """Both files."""
    lines = list(_shop_lines())
    first = min(day for _, _, day, _ in lines)
    counted = [(customer, country, (day - first).days, amount) for customer, country, day, amount in lines]
    return Sales(counted, _department_series())


def _shop_lines() -> Iterator[tuple[str, str, date, float]]:
    with gzip.open(SHOP, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["InvoiceDate"][:10])
            yield row["CustomerID"], row["Country"], day, float(row["Quantity"]) * float(row["UnitPrice"])


def _department_series() -> Series:
    series: dict[str, list[float]] = defaultdict(list)
    with gzip.open(DEPARTMENTS, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series[row["series"]].append(float(row["value"]))
    return dict(series)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _chosen(fold: int, *, kept: bool) -> Callable[[str], bool]:
    """Whether a name is in the fold, or not."""
    return lambda name: (_hash(f"fold {name}") % FOLDS == fold) == kept


# -- examples --------------------------------------------------------------------------------------


def places(series: Series) -> Places:
    """Examples at every STEP-th day after which 28 more are known."""
    found = []
    for values in map(_from_first, series.values()):
        offset = len(values)
        for cut in range(HISTORY_AT_LEAST, len(values) - AHEAD + 1, STEP):
            example = example_at(values, cut)
            if example is not None:
                found.append((cut - offset, example))
    return found


def stopped(series: Series) -> Iterator[tuple[int, Example]]:
    """Examples of partners that brought nothing more since some days before the cut; with how many days."""
    for name, whole in series.items():
        values = _from_first(whole)
        for cut in range(HISTORY_AT_LEAST, len(values) - AHEAD + 1, STEP):
            days = SHORTEST_STOP + _hash(f"{name} {cut}") % (LONGEST_STOP - SHORTEST_STOP + 1)
            example = example_at([*values[: cut - days], *([0.0] * (days + AHEAD))], cut)
            if example is not None:
                yield days, example


def _from_first(values: Sequence[float]) -> Sequence[float]:
    first = next((number for number, value in enumerate(values) if value != 0), len(values))
    return values[first:]


# -- fitting and judging ---------------------------------------------------------------------------


def fitted_to(examples: Mapping[str, Sequence[Example]], stops: Sequence[Example]) -> Model:
    """A model in which every data set counts the same, and stops STOPS_SHARE of all."""
    weighted = [one._replace(weight=1_000 / len(group)) for group in examples.values() if group for one in group]
    total = sum(one.weight for one in weighted)
    weighted += [one._replace(weight=STOPS_SHARE * total / len(stops)) for one in stops]
    centres, scales = [], []
    for place in range(len(Features._fields)):
        mean = sum(one.weight * one.features[place] for one in weighted) / total / (1 + STOPS_SHARE)
        spread = sum(one.weight * (one.features[place] - mean) ** 2 for one in weighted) / total / (1 + STOPS_SHARE)
        centres.append(round(mean, 4))
        scales.append(round(sqrt(spread), 4))
    start = Model(0.0, (0.0,) * len(centres), tuple(centres), tuple(scales))
    return fit(start, weighted, strength=RIDGE)


Judged = list[tuple[float, bool]]
"""Probabilities, and whether a decline followed."""


def judge(model: Model, examples: Sequence[Example]) -> Judged:
    """What a model says of examples."""
    return [(model.probability(one.features), one.declined) for one in examples]


def held_out(sales: Sales) -> tuple[dict[str, Judged], list[tuple[int, float]]]:
    """Each fold judged by a model fitted to the others; and what it says of partners that stopped so long ago."""
    judged: dict[str, Judged] = defaultdict(list)
    seen: list[tuple[int, float]] = []
    for fold in range(FOLDS):
        trained = sales.panels(_chosen(fold, kept=False), 1 - 1 / FOLDS)
        kept = sales.panels(_chosen(fold, kept=True), 1 / FOLDS)
        stops = [example for series in trained.values() for _, example in stopped(series)]
        model = fitted_to({name: [one for _, one in places(series)] for name, series in trained.items()}, stops)
        for name, series in kept.items():
            judged[name] += judge(model, [one for _, one in places(series)])
            seen += [(days, model.probability(one.features)) for days, one in stopped(series)]
    return dict(judged), seen


def auc(judged: Judged) -> float:
    """Probability that a decline is given a higher probability than what is none; not a number without both."""
    ordered = sorted(judged)
    declines = sum(declined for _, declined in ordered)
    others = len(ordered) - declines
    if not declines or not others:
        return float("nan")
    ranks, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        ranks += sum(declined for _, declined in ordered[place:end]) * (place + end + 1) / 2
        place = end
    return (ranks - declines * (declines + 1) / 2) / (declines * others)


def report(title: str, groups: Mapping[str, Judged]) -> None:
    """AUC of each group, of those of the shop, and of all."""
    print(f"\n{title}:")
    shop = [one for name, group in groups.items() if name != "departments" for one in group]
    for name, group in {**groups, "the shop": shop, "all": [*shop, *groups["departments"]]}.items():
        declined = sum(declined for _, declined in group) / len(group)
        warned = sum(probability >= THRESHOLD for probability, _ in group) / len(group)
        mean = sum(probability for probability, _ in group) / len(group)
        print(
            f"  {name:<14} {len(group):>6} examples  AUC {auc(group):.3f}  declined {declined:.3f}  "
            f"mean probability {mean:.3f}  at least {THRESHOLD}: {warned:.3f}"
        )


def report_stops(seen: Sequence[tuple[int, float]]) -> None:
    """How many of the partners that stopped are seen, by how long ago it was."""
    print("\nstops of held-out series, share seen:")
    for first, last in ((6, 7), (8, 14), (15, 21), (22, 27)):
        group = [probability >= THRESHOLD for days, probability in seen if first <= days <= last]
        print(f"  {first:>2} to {last:>2} days ago  {sum(group) / len(group):.2f} of {len(group)}")


def report_time(panels: Panels) -> None:
    """Fitted to what was over by the middle, judged by what began after it; then refitted to each data set."""
    early, late = {}, {}
    stops: list[Example] = []
    for name, series in panels.items():
        found = places(series)
        middle = sorted(cut for cut, _ in found)[len(found) // 2]
        early[name] = [one for cut, one in found if cut + AHEAD <= middle]
        late[name] = [one for cut, one in found if cut >= middle]
        stops += [one for _, one in stopped({key: values[:middle] for key, values in series.items()})]
    model = fitted_to(early, stops)
    report("held out by time", {name: judge(model, group) for name, group in late.items()})
    for name, group in early.items():
        if sum(one.declined for one in group) >= OUTCOMES_AT_LEAST:
            own = fit(model, group, strength=STRENGTH, fixed=FIXED)
            before, after = (auc(judge(one, late[name])) for one in (model, own))
            print(f"  refitted to {name}: AUC {before:.3f} becomes {after:.3f}")


def show(model: Model) -> None:
    """As reports/health/prior.py writes it."""
    print(f"  base {model.base:.4f}")
    for row in zip(Features._fields, model.coefficients, model.centres, model.scales, strict=True):
        print("  {:<15} {:>8.4f} {:>9.4f} {:>8.4f}".format(*row))


def distance(one: Model, other: Model) -> float:
    """Largest difference of a coefficient or the base."""
    pairs = zip((one.base, *one.coefficients), (other.base, *other.coefficients), strict=True)
    return max(abs(first - second) for first, second in pairs)


if __name__ == "__main__":
    main()
