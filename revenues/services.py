"""Use cases of products, revenue sources and product mappings; what takes in revenue is in ingestion."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace, WorkspaceModel
from alliantra.workspaces.services import validate_row
from revenues.mapping import lock_mapping, remap
from revenues.models import DEFAULT_SOURCE, Product, ProductMapping, ProductStatus, RevenueSource

Row = TypeVar("Row", bound=WorkspaceModel)


@transaction.atomic
def create_product(*, actor: Actor, **values: Any) -> Product:
    """Add a product; rows of the ledger that name its external id belong to it from now on."""
    lock_mapping(actor.workspace)
    product = Product(workspace=actor.workspace)
    _save_product(product, actor.workspace, values)
    if product.external_id is not None:
        remap(actor.workspace, [product.external_id], only_unmapped=True)
    audit.record(actor, "product.created", product, after=audit.snapshot(product))
    return product


@transaction.atomic
def update_product(product: Product, *, actor: Actor, **changes: Any) -> Product:
    """Change a product. With another external id the rows of the old one leave it and those of the new one join."""
    if "external_id" in changes:
        lock_mapping(actor.workspace)
    product = _locked(product, actor.workspace)
    if _changes_nothing(product, changes):
        return product
    before, identifier = audit.snapshot(product), product.external_id
    _save_product(product, actor.workspace, changes)
    if product.external_id != identifier:
        remap(actor.workspace, [name for name in (identifier, product.external_id) if name is not None])
    audit.record(actor, "product.updated", product, before=before, after=audit.snapshot(product))
    return product


@transaction.atomic
def archive_product(product: Product, *, actor: Actor) -> Product:
    """Take a product out of sale; what was sold keeps it, and its identifiers still lead to it."""
    product = _locked(product, actor.workspace)
    if product.status == ProductStatus.ARCHIVED:
        return product
    before = audit.snapshot(product)
    product.status = ProductStatus.ARCHIVED
    product.save(update_fields=["status", "updated_at"])
    audit.record(actor, "product.archived", product, before=before, after=audit.snapshot(product))
    return product


@transaction.atomic
def create_source(*, actor: Actor, **values: Any) -> RevenueSource:
    """Add a revenue source: a space of external ids of its own."""
    source = RevenueSource(workspace=actor.workspace)
    _save_source(source, values)
    audit.record(actor, "revenue_source.created", source, after=audit.snapshot(source))
    return source


@transaction.atomic
def update_source(source: RevenueSource, *, actor: Actor, **changes: Any) -> RevenueSource:
    """Change a revenue source. The default source keeps its name: what names no source is found by it."""
    source = _locked(source, actor.workspace)
    if _changes_nothing(source, changes):
        return source
    if source.name == DEFAULT_SOURCE and changes.get("name", DEFAULT_SOURCE) != DEFAULT_SOURCE:
        raise DomainError("conflict", f"The source {DEFAULT_SOURCE} cannot be renamed.")
    before = audit.snapshot(source)
    _save_source(source, changes)
    audit.record(actor, "revenue_source.updated", source, before=before, after=audit.snapshot(source))
    return source


@transaction.atomic
def map_identifier(
    workspace: Workspace,
    *,
    actor: Actor,
    source: RevenueSource,
    external_product_identifier: str,
    product: Product | None,
) -> ProductMapping:
    """Say what an identifier of a source stands for; without product it is ignored. Rows in the ledger follow."""
    lock_mapping(workspace)
    key = {"source": source, "external_product_identifier": external_product_identifier}
    mapping = ProductMapping.objects.in_workspace(workspace).filter(**key).first()
    before = None if mapping is None else audit.snapshot(mapping)
    mapping = mapping or ProductMapping(workspace=workspace, **key)
    mapping.product = product
    validate_row(mapping)
    mapping.save()
    remap(workspace, [external_product_identifier])
    action = "product_mapping.updated" if before else "product_mapping.created"
    audit.record(actor, action, mapping, before=before, after=audit.snapshot(mapping))
    return mapping


def _locked(row: Row, workspace: Workspace) -> Row:
    return type(row)._default_manager.select_for_update().get(workspace=workspace, pk=row.pk)


def _changes_nothing(row: WorkspaceModel, changes: Mapping[str, Any]) -> bool:
    return all(getattr(row, field) == value for field, value in changes.items())


def _save_product(product: Product, workspace: Workspace, values: Mapping[str, Any]) -> None:
    category = values.get("category", product.category)
    names = [option["name"] for option in workspace.category_options]
    if category not in {"", product.category, *names}:
        raise Invalid.field("/category", "invalid_choice", f"Expected one of {', '.join(names) or 'none'}.")
    _apply(product, values)
    _refuse_taken(product, "external_id")
    product.save()


def _save_source(source: RevenueSource, values: Mapping[str, Any]) -> None:
    _apply(source, values)
    _refuse_taken(source, "external_id")
    _refuse_taken(source, "name")
    source.save()


def _apply(row: WorkspaceModel, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        setattr(row, field, value)
    validate_row(row)


def _refuse_taken(row: WorkspaceModel, field: str) -> None:
    value = getattr(row, field)
    if value is None:
        return
    same = type(row)._default_manager.filter(workspace=row.workspace, **{field: value}).exclude(pk=row.pk)
    if same.exists():
        taken = FieldProblem(f"/{field}", "already_exists", f"Another record has this {field}.")
        raise DomainError("already_exists", taken.detail, errors=[taken])
