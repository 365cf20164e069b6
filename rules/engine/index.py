"""Winners without testing every rule on every row: rule versions filed by what they require.

A version that requires partner P and product A or B is filed under (P, A) and (P, B), in the group
of all versions that are filed by partner and product. A row looks once into each group, under its
own values, and so meets hardly any version that it does not match, however many there are. Groups
are made for each interval between the moments at which some window opens or closes.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any, NamedTuple

from rules.engine.conditions import Condition, typed
from rules.engine.inputs import DIMENSIONS, Row, RuleVersion
from rules.engine.matching import TieBreak, decided_by, rank

FILED_AT_MOST = 64
"""Places in which one version may be filed; requirements beyond are checked on the row instead."""
INTERVALS_KEPT = 64
"""Intervals whose groups are kept at once. Rows come in the order of time, so few are in use."""

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
    """A filed version: its place in the winning order, and what remains to be checked on the row."""

    place: int
    checks: tuple[Check, ...]


class _Filing(NamedTuple):
    """Where one version is filed: under every combination of `values` in `dimensions`."""

    version: RuleVersion
    dimensions: tuple[str, ...]
    values: tuple[frozenset[Hashable], ...]
    candidate: _Candidate


class _Group(NamedTuple):
    """Versions filed by the same dimensions. `first` is the best place among them.

    `read` takes from a row's probe the key under which they are filed, or the keys if there are several.
    """

    first: int
    read: Callable[[Any], Any]
    filed: dict[Hashable, list[_Candidate]]


class _Groups(NamedTuple):
    """What is open in one interval, each list best first: groups read by one key, and by several."""

    by_one: list[_Group]
    by_several: list[_Group]


class RuleIndex:
    """Compiled rule versions. The same winner, by the same comparison, as testing each version would give."""

    def __init__(self, versions: Sequence[RuleVersion]) -> None:
        self.versions = sorted(versions, key=rank)
        self._ranks = [rank(version) for version in self.versions]
        self._filings = _filings(self.versions)
        self._bounds = _interval_bounds(self.versions)
        self._metadata_keys = sorted({key for filing in self._filings for key in _metadata_keys(filing.dimensions)})
        self._intervals: dict[int, _Groups] = {}

    def winner(self, row: Row) -> Win | None:
        """The version that wins the row, and by which comparison; None if none matches."""
        groups = self._groups(row.occurred_at)
        probe: tuple[Any, ...] = row
        if self._metadata_keys:
            probe = (*row, *[typed(row.metadata.get(key)) for key in self._metadata_keys])
        nowhere = len(self.versions)
        best = second = nowhere
        for first, read, filed in groups.by_one:
            if first >= second:
                break
            if candidates := filed.get(read(probe)):
                best, second = _better(candidates, row, best, second)
        for first, read, filed in groups.by_several:
            if first >= second:
                break
            for key in read(probe):
                best, second = _better(filed.get(key, ()), row, best, second)
        if best == nowhere:
            return None
        runner_up = self._ranks[second] if second != nowhere else None
        return Win(self.versions[best], decided_by(self._ranks[best], runner_up))

    def _groups(self, moment: datetime) -> _Groups:
        """Groups of the versions whose window is open at `moment`."""
        interval = bisect_right(self._bounds, moment)
        groups = self._intervals.get(interval)
        if groups is None:
            if len(self._intervals) >= INTERVALS_KEPT:
                self._intervals.clear()
            open_now = [filing for filing in self._filings if _is_open(filing.version, moment)]
            groups = self._intervals[interval] = _group(open_now, self._metadata_keys)
        return groups


def _better(candidates: Iterable[_Candidate], row: Row, best: int, second: int) -> tuple[int, int]:
    """The two best places after looking at more candidates, which come best first."""
    for place, checks in candidates:
        if place >= second:
            break
        if place != best and (not checks or all(check(row) for check in checks)):
            best, second = (place, best) if place < best else (best, place)
    return best, second


def _interval_bounds(versions: Sequence[RuleVersion]) -> list[datetime]:
    """Moments at which some window opens or closes."""
    moments = {moment for version in versions for moment in (version.starts_at, version.ends_at) if moment is not None}
    return sorted(moment.astimezone(UTC) for moment in moments)


def _is_open(version: RuleVersion, moment: datetime) -> bool:
    has_begun = version.starts_at is None or moment >= version.starts_at
    return has_begun and (version.ends_at is None or moment < version.ends_at)


def _group(filings: Iterable[_Filing], metadata_keys: Sequence[str]) -> _Groups:
    """Filings, which come in winning order, by their dimensions."""
    groups: dict[tuple[str, ...], _Group] = {}
    for _, dimensions, values, candidate in filings:
        if dimensions not in groups:
            groups[dimensions] = _Group(candidate.place, _reader(dimensions, metadata_keys), {})
        filed = groups[dimensions].filed
        for combination in product(*values):
            filed.setdefault(_key(combination), []).append(candidate)
    for group in groups.values():
        for key, candidates in group.filed.items():
            group.filed[key] = list(_up_to_second_sure(candidates))
    by_one = [group for dimensions, group in groups.items() if SEVERAL not in dimensions]
    return _Groups(by_one, [group for dimensions, group in groups.items() if SEVERAL in dimensions])


def _up_to_second_sure(candidates: Iterable[_Candidate]) -> Iterator[_Candidate]:
    """Candidates up to the second that needs no check: what comes later can neither win nor decide."""
    sure = 0
    for candidate in candidates:
        if sure < 2:
            yield candidate
        sure += not candidate.checks


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


def _filings(versions: Sequence[RuleVersion]) -> list[_Filing]:
    """Where each version is filed: by its rarest listed values first, as far as FILED_AT_MOST allows."""
    requirements = [_requirements(version) for version in versions]
    popularity = Counter((need.dimension, value) for needs in requirements for need in needs for value in need.values)
    return [
        _filing(place, version, needs, popularity)
        for place, (version, needs) in enumerate(zip(versions, requirements, strict=True))
    ]


def _filing(place: int, version: RuleVersion, needs: list[_Requirement], popularity: Counter[Any]) -> _Filing:
    def commonness(need: _Requirement) -> int:
        return max(popularity[need.dimension, value] for value in need.values)

    chosen: dict[str, _Requirement] = {}
    for need in sorted((need for need in needs if need.values), key=commonness):
        combinations = prod(len(other.values) for other in chosen.values()) * len(need.values)
        if need.dimension not in chosen and (not chosen or combinations <= FILED_AT_MOST):
            chosen[need.dimension] = need
    dimensions = tuple(sorted(chosen))
    checks = tuple(need.check for need in needs if chosen.get(need.dimension) is not need)
    return _Filing(version, dimensions, tuple(chosen[name].values for name in dimensions), _Candidate(place, checks))


def _requirements(version: RuleVersion) -> list[_Requirement]:
    """All that the version's scope asks of a row."""
    scope = version.scope
    needs = [
        _Requirement(dimension, wanted, _check_of(dimension, wanted))
        for dimension in DIMENSIONS
        if (wanted := getattr(scope, dimension))
    ]
    return needs + [_requirement_of(condition) for condition in scope.metadata]


def _requirement_of(condition: Condition) -> _Requirement:
    values: frozenset[Hashable] = condition.values if condition.is_discrete else frozenset()
    return _Requirement(METADATA + condition.key, values, lambda row: condition.holds(row.metadata))


def _check_of(dimension: str, wanted: frozenset[str]) -> Check:
    position = Row._fields.index(DIMENSIONS[dimension])
    if dimension == SEVERAL:
        return lambda row: not wanted.isdisjoint(row.product_tags)
    return lambda row: row[position] in wanted
