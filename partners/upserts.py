"""Partners by the hundred: created or updated by external id in a few statements, however many people do so at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from django.db import transaction

from alliantra.errors import DomainError, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.import_files import Read
from partners.import_records import joined_metadata, read_partner
from partners.models import Partner

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"
_WRITTEN_AT_ONCE: Final = 250
Values: TypeAlias = dict[str, Any]


class Landed(NamedTuple):
    """The partner of a record, as all records that came with it left it, and what this one did: field → before, after.

    There is no before of a partner that it made.
    """

    partner: Partner
    outcome: str
    changes: Mapping[str, tuple[Any, Any]]


Outcome: TypeAlias = Landed | DomainError


@transaction.atomic
def import_partners(*, actor: Actor, records: Sequence[Read], adds_metadata: bool = False) -> list[Outcome]:
    """Create or update a partner for each record, in their order; only fields that are sent change.

    A record that is refused leaves the others alone. Metadata replaces what was there, or with `adds_metadata` adds
    to it. Rows are first inserted, then locked, each time in one order: whoever names the same partners at the same
    time waits, but never in a circle.
    """
    read = [_read(record) for record in records]
    new = _inserted(actor.workspace, read)
    rows = {row.external_id: row for row in _named(actor.workspace, read).select_for_update(of=("self",))}
    ours = {name: made.place for name, made in new.items() if rows[name].pk == made.row.pk}
    changes = _Changes()
    outcomes = _outcomes(read, rows, ours, changes, adds_metadata=adds_metadata)
    changes.write(actor)
    return outcomes


def foresee_partners(
    workspace: Workspace, records: Sequence[Read], *, known: dict[str, Partner], adds_metadata: bool = False
) -> list[Outcome]:
    """What `import_partners` would do if it were called now; nothing is written or locked.

    `known` holds partners as records before these left them, by external id; those of these records are added.
    """
    read = [_read(record) for record in records]
    rows = {row.external_id: row for row in _named(workspace, read)}
    rows |= {name: known[name] for name in _names(read) if name in known}
    new = _new(workspace, read, rows)
    rows |= {name: made.row for name, made in new.items()}
    known |= rows
    ours = {name: made.place for name, made in new.items()}
    return _outcomes(read, rows, ours, _Changes(), adds_metadata=adds_metadata)


def _outcomes(
    read: Sequence[Values | DomainError],
    rows: Mapping[str, Partner],
    ours: Mapping[str, int],
    changes: "_Changes",
    *,
    adds_metadata: bool,
) -> list[Outcome]:
    return [
        values
        if isinstance(values, DomainError)
        else _landed(index, values, rows, ours, changes, adds_metadata=adds_metadata)
        for index, values in enumerate(read)
    ]


def _read(record: Read) -> Values | DomainError:
    if isinstance(record, DomainError):
        return record
    try:
        return read_partner(record)
    except DomainError as error:
        return error


class _New(NamedTuple):
    """A partner to be inserted, and the place of the record that makes it."""

    place: int
    row: Partner


def _inserted(workspace: Workspace, read: Sequence[Values | DomainError]) -> dict[str, _New]:
    """Insert partners that are not here yet, by external id; what somebody else inserts meanwhile stays as it is."""
    new = _new(workspace, read, set(_named(workspace, read).values_list("external_id", flat=True)))
    rows = [new[external_id].row for external_id in sorted(new)]
    Partner.objects.bulk_create(rows, ignore_conflicts=True, batch_size=_WRITTEN_AT_ONCE)
    return new


def _new(workspace: Workspace, read: Sequence[Values | DomainError], here: Collection[str]) -> dict[str, _New]:
    """What makes the partners that are not `here`: of each the first record that has a name."""
    new: dict[str, _New] = {}
    for index, values in enumerate(read):
        if not isinstance(values, DomainError) and values["external_id"] not in here and "name" in values:
            new.setdefault(values["external_id"], _New(index, Partner(workspace=workspace, **values)))
    return new


def _names(read: Sequence[Values | DomainError]) -> set[str]:
    return {values["external_id"] for values in read if not isinstance(values, DomainError)}


def _named(workspace: Workspace, read: Sequence[Values | DomainError]) -> Any:
    return Partner.objects.in_workspace(workspace).filter(external_id__in=_names(read)).order_by("external_id")


def _landed(
    index: int,
    values: Values,
    rows: Mapping[str, Partner],
    ours: Mapping[str, int],
    changes: "_Changes",
    *,
    adds_metadata: bool,
) -> Outcome:
    """What one record does. `ours` holds the places of the records that make the partners that are ours."""
    row, made_at = rows.get(values["external_id"]), ours.get(values["external_id"], -1)
    if row is None or index < made_at:
        return Invalid.field("/name", "required")
    if index == made_at:
        changes.created.append((row, None, audit.snapshot(row)))
        return Landed(row, CREATED, {name: (None, value) for name, value in values.items()})
    try:
        changed = changes.update(row, values, adds_metadata=adds_metadata)
    except DomainError as error:
        return error
    return Landed(row, UPDATED if changed else UNCHANGED, changed)


@dataclass
class _Changes:
    """What the records change, to be written all at once."""

    created: list[audit.Change] = field(default_factory=list)
    updated: list[audit.Change] = field(default_factory=list)
    rows: dict[UUID, Partner] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)

    def update(self, row: Partner, values: Values, *, adds_metadata: bool) -> dict[str, tuple[Any, Any]]:
        """Set what differs: field → before, after. Raises Invalid for too much metadata."""
        if adds_metadata and "metadata" in values:
            values = {**values, "metadata": joined_metadata(row.metadata, values["metadata"])}
        differing = {name: (getattr(row, name), value) for name, value in values.items() if getattr(row, name) != value}
        if not differing:
            return {}
        before = audit.snapshot(row)
        for name, (_, value) in differing.items():
            setattr(row, name, value)
        self.updated.append((row, before, audit.snapshot(row)))
        self.rows[row.pk] = row
        self.columns.update(differing)
        return differing

    def write(self, actor: Actor) -> None:
        """Save the rows, and an entry for each change."""
        if self.rows:
            Partner.objects.bulk_update(self.rows.values(), sorted(self.columns), batch_size=_WRITTEN_AT_ONCE)
        audit.record_many(actor, "partner.created", self.created)
        audit.record_many(actor, "partner.updated", self.updated)
