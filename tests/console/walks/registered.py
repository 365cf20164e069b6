"""The models that the console shows, and where."""

from typing import Any

from django.contrib import admin
from django.db.models import ForeignKey, Model
from django.urls import reverse

from alliantra.workspaces.models import Workspace, WorkspaceModel

REGISTERED: list[type[Model]] = sorted(admin.site._registry, key=lambda model: model._meta.label)


def label(model: type[Model]) -> str:
    """Test id."""
    return model._meta.label


def address(model: type[Model], page: str, *args: Any) -> str:
    """Address of a page of a model."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def rows_of(model: type[Model], workspace: Workspace) -> list[Any]:
    """A workspace's rows of a model."""
    if model is Workspace:
        return [workspace]
    return list(model._default_manager.filter(workspace=workspace))


def references(model: type[Model]) -> list[Any]:
    """Foreign keys to rows that belong to a workspace."""
    keys = [field for field in model._meta.get_fields() if isinstance(field, ForeignKey)]
    return [field for field in keys if issubclass(field.remote_field.model, WorkspaceModel)]
