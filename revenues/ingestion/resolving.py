"""From the names in records to the rows they mean, one query for a whole batch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from alliantra.errors import FIELD_CODES, FieldProblem, Invalid
from alliantra.statements import joined, run
from alliantra.workspaces.locks import lock_number
from alliantra.workspaces.models import Workspace
from revenues.ingestion.ledger import Place
from revenues.ingestion.records import EventFields, RevenueRecord
from revenues.models import DEFAULT_SOURCE, MAPPING_LOCK

_RESOLVE: Final = """
SELECT * FROM revenues_resolve(%s, %s, string_to_array(%s, %s), string_to_array(%s, %s)::uuid[],
    string_to_array(%s, %s), string_to_array(%s, %s)::uuid[], string_to_array(%s, %s))
"""


class Source(NamedTuple):
    """A revenue source that a record names."""

    id: str
    name: str


class NamedPartner(NamedTuple):
    """A partner that a record names, with what is copied from it."""

    id: str
    external_id: str | None
    channel: str
    program: str


NOBODY: Final = NamedPartner("", None, "", "")


@dataclass(slots=True)
class References:
    """What exists of the names that a batch uses."""

    sources_by_id: dict[str, Source] = field(default_factory=dict)
    sources_by_name: dict[str, Source] = field(default_factory=dict)
    partners_by_id: dict[str, NamedPartner] = field(default_factory=dict)
    partners_by_external_id: dict[str, NamedPartner] = field(default_factory=dict)
    mappings: dict[tuple[str, str], str | None] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)

    def product(self, source_id: str, identifier: str) -> str | None:
        """Id of the product that an identifier of a source stands for: by mapping, else by its own external id."""
        mapped = (source_id, identifier)
        return self.mappings[mapped] if mapped in self.mappings else self.products.get(identifier)

    def revenue_place(
        self, source_id: str | None, partner_id: str | None, partner_name: str | None, product: str | None
    ) -> Place | Invalid:
        """Where a record of `/api/v1` belongs, or what it names that does not exist."""
        source = self.sources_by_id.get(source_id.lower()) if source_id else self.sources_by_name.get(DEFAULT_SOURCE)
        partner: NamedPartner | None = NOBODY
        if partner_id:
            partner = self.partners_by_id.get(partner_id.lower())
        elif partner_name:
            partner = self.partners_by_external_id.get(partner_name)
        pointers = ("/revenue_source_id", "/partner_id" if partner_id else "/partner_external_id")
        return self._place(source, partner, product, pointers)

    def event_place(self, source_name: str | None, partner_id: str, product: str | None) -> Place | Invalid:
        """Where a record of `/v1` belongs, or what it names that does not exist."""
        source = self.sources_by_name.get(source_name or DEFAULT_SOURCE)
        partner = self.partners_by_id.get(partner_id.lower()) or self.partners_by_external_id.get(partner_id)
        return self._place(source, partner, product, ("/source", "/partner_id"))

    def _place(
        self, source: Source | None, partner: NamedPartner | None, product: str | None, pointers: tuple[str, str]
    ) -> Place | Invalid:
        if source is None or partner is None:
            problems = [] if source else [_missing(pointers[0], "source_not_found")]
            return Invalid(problems if partner else [*problems, _missing(pointers[1], "partner_not_found")])
        return Place(
            source.id,
            source.name,
            partner.id or None,
            partner.external_id,
            self.product(source.id, product) if product else None,
            partner.channel,
            partner.program,
        )


def revenue_places(workspace: Workspace, records: Iterable[RevenueRecord]) -> list[Place | Invalid]:
    """Where each record of `/api/v1` belongs."""
    keys = [
        (
            record.revenue_source_id or None,
            record.partner_id or None,
            record.partner_external_id or None,
            record.external_product_identifier or None,
        )
        for record in records
    ]
    distinct = set(keys)
    references = _resolve(
        workspace,
        source_names={DEFAULT_SOURCE},
        source_ids={source for source, _, _, _ in distinct if source},
        partner_ids={partner for _, partner, _, _ in distinct if partner},
        partner_names={partner for _, _, partner, _ in distinct if partner},
        products={product for _, _, _, product in distinct if product},
    )
    places = {key: references.revenue_place(*key) for key in distinct}
    return [places[key] for key in keys]


def event_places(workspace: Workspace, records: Iterable[EventFields]) -> list[Place | Invalid]:
    """Where each record of `/v1` belongs."""
    keys = [(record.source or None, record.partner_id, record.product or None) for record in records]
    distinct = set(keys)
    partners = {partner for _, partner, _ in distinct}
    references = _resolve(
        workspace,
        source_names={source or DEFAULT_SOURCE for source, _, _ in distinct},
        source_ids=set(),
        partner_ids=partners,
        partner_names=partners,
        products={product for _, _, product in distinct if product},
    )
    places = {key: references.event_place(*key) for key in distinct}
    return [places[key] for key in keys]


def _resolve(workspace: Workspace, *, products: set[str], **names: set[str]) -> References:
    # Shared with every other ingestion; who maps identifiers holds it alone. So no row arrives
    # unmapped between the moment a mapping is made and the moment the rows already here are mapped.
    mapping_lock = lock_number(workspace, MAPPING_LOCK) if products else None
    lists = [
        list(names["source_names"]),
        _uuids(names["source_ids"]),
        list(names["partner_names"]),
        _uuids(names["partner_ids"]),
        list(products),
    ]
    separator, texts = joined(lists)
    parameters = [workspace.pk, mapping_lock, *(parameter for text in texts for parameter in (text, separator))]
    references = References()
    for kind, first, second, third, fourth in run(_RESOLVE, parameters):
        match kind:
            case "source":
                references.sources_by_id[first] = references.sources_by_name[second] = Source(first, second)
            case "partner":
                partner = NamedPartner(first, second, third, fourth)
                references.partners_by_id[first] = partner
                references.partners_by_external_id[second] = partner
            case "mapping":
                references.mappings[first, second] = third
            case "product":
                references.products[second] = first
    return references


def _uuids(texts: Iterable[str]) -> list[str]:
    """Those of `texts` that are UUIDs in the usual form; nothing else can be an id."""
    return [text for text in texts if len(text) == 36 and _is_uuid(text)]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _missing(pointer: str, code: str) -> FieldProblem:
    return FieldProblem(pointer, code, FIELD_CODES[code])
