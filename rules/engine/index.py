"""Winners without testing every rule on every row: rule versions filed by what they require.

A version that requires partner P and product A or B is filed under (P, A) and (P, B), in the group
of all versions that are filed by partner and product. A row looks once into each group, under its
own values, and so meets hardly any version that it does not match, however many there are. Time is
cut into intervals by the moments at which some window opens or closes; what a group offers under a
key is narrowed to the versions open in the current one.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple

from rules.engine.conditions import Condition, typed
from rules.engine.inputs import DIMENSIONS, Row, RuleVersion
from rules.engine.matching import TieBreak, decided_by, is_early, rank

FILED_AT_MOST = 64
"""Places in which one version may be filed; requirements beyond are checked on the row instead."""

Check = Callable[[Row], bool]
METADATA = "metadata."
SEVERAL = "product_tags"
"""The one dimension in which a row has several values."""
SEVERAL_AT = Row._fields.index(DIMENSIONS[SEVERAL])


class Win(NamedTuple):
    """The winner of a row and what decided."""

    version: RuleVersion
    tie_break: TieBreak


class _Requirement(NamedTuple):
    """What a row must satisfy in one dimension; `values` are those that do, if they can be listed."""

    dimension: str
    values: frozenset[Hashable]
    check: Check


class _Candidate(NamedTuple):
    """A filed version: its place in the winning order, and what remains to be checked on the row.

    It is open in the intervals from `opens` up to, not including, `closes`.
    """

    place: int
    checks: tuple[Check, ...]
    opens: int
    closes: int


class _Filing(NamedTuple):
    """Where one version is filed: under every combination of `values` in `dimensions`."""

    dimensions: tuple[str, ...]
    values: tuple[frozenset[Hashable], ...]
    candidate: _Candidate


class _Group:
    """Versions filed by the same dimensions, best first under each key. `first` is the best place of all."""

    __slots__ = ("filed", "first", "open", "read")

    def __init__(self, first: int, read: Callable[[Any], Any]) -> None:
        self.first = first
        self.read = read
        self.filed: dict[Hashable, list[_Candidate]] = {}
        self.open: dict[Hashable, list[_Candidate]] = {}

    def offered(self, key: Hashable, interval: int) -> Sequence[_Candidate]:
        """Candidates of one key that matter in one interval."""
        if key not in self.filed:
            return ()
        candidates = self.open.get(key)
        if candidates is None:
            candidates = self.open[key] = self._narrowed(key, interval)
        return candidates

    def _narrowed(self, key: Hashable, interval: int) -> list[_Candidate]:
        """Those open in the interval.

        Up to the second that needs no check: what comes later can neither win nor decide.
        """
        kept, sure = [], 0
        for candidate in self.filed[key]:
            if candidate.opens <= interval < candidate.closes:
                kept.append(candidate)
                sure += not candidate.checks
                if sure == 2:
                    break
        return kept


class RuleIndex:
    """Compiled rule versions. The same winner, by the same comparison, as testing each version would give."""

    def __init__(self, versions: Sequence[RuleVersion]) -> None:
        self.versions = sorted(versions, key=rank)
        self._ranks = [rank(version) for version in self.versions]
        self._bounds = _interval_bounds(self.versions)
        self._interval = 0
        filings = _filings(self.versions, self._bounds)
        self._metadata_keys = sorted({key for filing in filings for key in _metadata_keys(filing.dimensions)})
        self._by_one, self._by_several = _groups(filings, self._metadata_keys)

    def winner(self, row: Row) -> Win | None:
        """The version that wins the row, and by which comparison; None if none matches."""
        if self._bounds:
            self._turn_to(bisect_right(self._bounds, row.occurred_at))
        interval = self._interval
        probe: tuple[Any, ...] = row
        if self._metadata_keys:
            probe = (*row, *[typed(row.metadata.get(key)) for key in self._metadata_keys])
        nowhere = len(self.versions)
        best = second = nowhere
        for group in self._by_one:
            if group.first >= second:
                break
            if candidates := group.offered(group.read(probe), interval):
                best, second = _better(candidates, row, best, second)
        for group in self._by_several:
            if group.first >= second:
                break
            for key in group.read(probe):
                best, second = _better(group.offered(key, interval), row, best, second)
        return self._win(best, second)

    def _win(self, best: int, second: int) -> Win | None:
        nowhere = len(self.versions)
        if best == nowhere:
            return None
        runner_up = self._ranks[second] if second != nowhere else None
        return Win(self.versions[best], decided_by(self._ranks[best], runner_up))

    def _turn_to(self, interval: int) -> None:
        """Forget what was narrowed to another interval. Rows come in the order of time, so that is seldom."""
        if interval != self._interval:
            self._interval = interval
            for group in (*self._by_one, *self._by_several):
                group.open.clear()


def _better(candidates: Iterable[_Candidate], row: Row, best: int, second: int) -> tuple[int, int]:
    """The two best places after looking at more candidates, which come best first."""
    for place, checks, _, _ in candidates:
        if place >= second:
            break
        if place != best and (not checks or all(check(row) for check in checks)):
            best, second = (place, best) if place < best else (best, place)
    return best, second


def _interval_bounds(versions: Sequence[RuleVersion]) -> list[datetime]:
    """Moments at which some window opens or closes."""
    moments = {moment for version in versions for moment in (version.starts_at, version.ends_at) if moment is not None}
    return sorted(moment.astimezone(UTC) for moment in moments)


def _groups(filings: Iterable[_Filing], metadata_keys: Sequence[str]) -> tuple[list[_Group], list[_Group]]:
    """Filings, which come in winning order, by their dimensions: groups read by one key, and by several."""
    groups: dict[tuple[str, ...], _Group] = {}
    for dimensions, values, candidate in filings:
        if dimensions not in groups:
            groups[dimensions] = _Group(candidate.place, _reader(dimensions, metadata_keys))
        for combination in product(*values):
            groups[dimensions].filed.setdefault(_key(combination), []).append(candidate)
    by_one = [group for dimensions, group in groups.items() if SEVERAL not in dimensions]
    return by_one, [group for dimensions, group in groups.items() if SEVERAL in dimensions]


def _reader(dimensions: tuple[str, ...], metadata_keys: Sequence[str]) -> Callable[[Any], Any]:
    """How to read from a probe the key, or the keys, under which versions of these dimensions are filed."""
    if not dimensions:
        return lambda _: ()
    fields = [*Row._fields, *(METADATA + key for key in metadata_keys)]
    positions = [fields.index(DIMENSIONS.get(dimension, dimension)) for dimension in dimensions]
    if SEVERAL not in dimensions:
        return itemgetter(*positions)
    return partial(_combinations, positions)


def _combinations(positions: Sequence[int], probe: Sequence[Any]) -> Iterator[Hashable]:
    """One key for each of the several values."""
    values = [probe[position] for position in positions]
    spread = [value if position == SEVERAL_AT else (value,) for position, value in zip(positions, values, strict=True)]
    return map(_key, product(*spread))


def _key(combination: tuple[Hashable, ...]) -> Hashable:
    """As itemgetter gives it: a lone value stands for itself."""
    return combination[0] if len(combination) == 1 else combination


def _metadata_keys(dimensions: Iterable[str]) -> Iterator[str]:
    return (name.removeprefix(METADATA) for name in dimensions if name.startswith(METADATA))


def _filings(versions: Sequence[RuleVersion], bounds: Sequence[datetime]) -> list[_Filing]:
    """Where each version is filed: by its rarest listed values first, as far as FILED_AT_MOST allows."""
    requirements = [_requirements(version) for version in versions]
    popularity = Counter((need.dimension, value) for needs in requirements for need in needs for value in need.values)
    filings = []
    for place, (version, needs) in enumerate(zip(versions, requirements, strict=True)):
        chosen = _chosen(needs, popularity)
        dimensions = tuple(sorted(chosen))
        checks = tuple(need.check for need in needs if chosen.get(need.dimension) is not need)
        candidate = _Candidate(place, checks, *_intervals(version, bounds))
        filings.append(_Filing(dimensions, tuple(chosen[name].values for name in dimensions), candidate))
    return filings


def _chosen(needs: Iterable[_Requirement], popularity: Counter[Any]) -> dict[str, _Requirement]:
    """Requirements to file a version by, one per dimension."""

    def commonness(need: _Requirement) -> int:
        return max(popularity[need.dimension, value] for value in need.values)

    chosen: dict[str, _Requirement] = {}
    places = 1
    for need in sorted((need for need in needs if need.values), key=commonness):
        if need.dimension not in chosen and (not chosen or places * len(need.values) <= FILED_AT_MOST):
            chosen[need.dimension] = need
            places *= len(need.values)
    return chosen


def _intervals(version: RuleVersion, bounds: Sequence[datetime]) -> tuple[int, int]:
    """The intervals in which the version's window is open: from the first up to, not including, the second."""
    opens = 0 if version.starts_at is None else bisect_right(bounds, version.starts_at)
    closes = len(bounds) + 1 if version.ends_at is None else bisect_right(bounds, version.ends_at)
    return opens, closes


def _requirements(version: RuleVersion) -> list[_Requirement]:
    """All that the version asks of a row beside its window."""
    scope = version.scope
    needs = [
        _Requirement(dimension, wanted, _check_of(dimension, wanted))
        for dimension in DIMENSIONS
        if (wanted := getattr(scope, dimension))
    ]
    if version.first_days_of_customer is not None:
        needs.append(_Requirement("first_days_of_customer", frozenset(), partial(is_early, version)))
    return needs + [_requirement_of(condition) for condition in scope.metadata]


def _requirement_of(condition: Condition) -> _Requirement:
    values: frozenset[Hashable] = condition.values if condition.is_discrete else frozenset()
    return _Requirement(METADATA + condition.key, values, lambda row: condition.holds(row.metadata))


def _check_of(dimension: str, wanted: frozenset[str]) -> Check:
    position = Row._fields.index(DIMENSIONS[dimension])
    if dimension == SEVERAL:
        return lambda row: not wanted.isdisjoint(row.product_tags)
    return lambda row: row[position] in wanted
