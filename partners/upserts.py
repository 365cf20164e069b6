"""Partners by the hundred: created or updated by external id in a few statements, however many people do so at once."""

from collections.abc import Mapping, Sequence
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
    """The partner of a record, as all records that came with it left it, and what this one did."""

    partner: Partner
    outcome: str


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
    outcomes = [
        values
        if isinstance(values, DomainError)
        else _landed(index, values, rows, ours, changes, adds_metadata=adds_metadata)
        for index, values in enumerate(read)
    ]
    changes.write(actor)
    return outcomes


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
    here = set(_named(workspace, read).values_list("external_id", flat=True))
    new: dict[str, _New] = {}
    for index, values in enumerate(read):
        if not isinstance(values, DomainError) and values["external_id"] not in here and "name" in values:
            new.setdefault(values["external_id"], _New(index, Partner(workspace=workspace, **values)))
    rows = [new[external_id].row for external_id in sorted(new)]
    Partner.objects.bulk_create(rows, ignore_conflicts=True, batch_size=_WRITTEN_AT_ONCE)
    return new


def _named(workspace: Workspace, read: Sequence[Values | DomainError]) -> Any:
    names = {values["external_id"] for values in read if not isinstance(values, DomainError)}
    return Partner.objects.in_workspace(workspace).filter(external_id__in=names).order_by("external_id")


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
        return Landed(row, CREATED)
    try:
        return Landed(row, changes.update(row, values, adds_metadata=adds_metadata))
    except DomainError as error:
        return error


@dataclass
class _Changes:
    """What the records change, to be written all at once."""

    created: list[audit.Change] = field(default_factory=list)
    updated: list[audit.Change] = field(default_factory=list)
    rows: dict[UUID, Partner] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)

    def update(self, row: Partner, values: Values, *, adds_metadata: bool) -> str:
        """Set what differs, and say whether anything did. Raises Invalid for too much metadata."""
        if adds_metadata and "metadata" in values:
            values = {**values, "metadata": joined_metadata(row.metadata, values["metadata"])}
        differing = {name: value for name, value in values.items() if getattr(row, name) != value}
        if not differing:
            return UNCHANGED
        before = audit.snapshot(row)
        for name, value in differing.items():
            setattr(row, name, value)
        self.updated.append((row, before, audit.snapshot(row)))
        self.rows[row.pk] = row
        self.columns.update(differing)
        return UPDATED

    def write(self, actor: Actor) -> None:
        """Save the rows, and an entry for each change."""
        if self.rows:
            Partner.objects.bulk_update(self.rows.values(), sorted(self.columns), batch_size=_WRITTEN_AT_ONCE)
        audit.record_many(actor, "partner.created", self.created)
        audit.record_many(actor, "partner.updated", self.updated)
