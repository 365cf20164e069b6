"""Rules of the tenant tables, over the models and the database they made."""

import pytest
from django.apps import apps
from django.db import connection, models

from alliantra.change_times import ChangeTimeField
from alliantra.workspaces.models import WorkspaceModel

OURS = {"alliantra", "workspaces", "partners", "revenues", "rules", "reports"}
READ_BEFORE_A_WORKSPACE_IS_KNOWN = {"Workspace", "User", "Membership", "ApiKey", "Heartbeat"}
MODELS = [model for model in apps.get_models() if model._meta.app_label in OURS and not model._meta.auto_created]
TENANT = [model for model in MODELS if model.__name__ not in READ_BEFORE_A_WORKSPACE_IS_KNOWN]


def label(model: type[models.Model]) -> str:
    """Test id."""
    return model._meta.label


@pytest.mark.parametrize("model", TENANT, ids=label)
def test_every_tenant_table_belongs_to_a_workspace(model: type[models.Model]) -> None:
    assert issubclass(model, WorkspaceModel) or "workspace" in {field.name for field in model._meta.fields}


@pytest.mark.parametrize("model", TENANT, ids=label)
@pytest.mark.django_db
def test_every_constraint_and_index_of_a_tenant_table_begins_with_the_workspace(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
    strays = {
        name: constraint["columns"]
        for name, constraint in constraints.items()
        if (constraint["unique"] or constraint["index"])
        and not constraint["primary_key"]
        and constraint["columns"][:1] != ["workspace_id"]
    }
    assert not strays


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_every_model_says_what_one_row_means(model: type[models.Model]) -> None:
    assert "One row" in (model.__doc__ or "")


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_every_amount_is_a_decimal(model: type[models.Model]) -> None:
    assert not [field.name for field in model._meta.fields if isinstance(field, models.FloatField)]


@pytest.mark.parametrize("table", ["workspaces_auditentry", "revenues_revenueevent", "rules_ruleversion"])
@pytest.mark.django_db
def test_append_only_tables_have_their_triggers(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bool_or(tgtype & 16 > 0), bool_or(tgtype & 8 > 0) FROM pg_trigger "
            "WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [table],
        )
        assert cursor.fetchone() == (True, True)


BEFORE_EACH_ROW, INSERT, UPDATE = 1 + 2, 4, 16
"""Bits of pg_trigger.tgtype."""


@pytest.mark.django_db
def test_change_times_are_set_by_triggers_and_nothing_else_is() -> None:
    expected = {
        (model._meta.db_table, field.column, BEFORE_EACH_ROW + INSERT + (UPDATE if field.auto_now else 0))
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, ChangeTimeField)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, encode(tgargs, 'escape'), tgtype::int, ARRAY(SELECT attname::text "
            "FROM pg_attribute WHERE attrelid = tgrelid AND attnum = ANY (tgattr)), tgenabled::text, tgqual IS NULL "
            "FROM pg_trigger WHERE tgfoid = 'alliantra_take_time'::regproc"
        )
        found = cursor.fetchall()
    assert {(table, arguments.removesuffix("\\000"), kind) for table, arguments, kind, *_ in found} == expected
    assert {tuple(columns) for _, _, kind, columns, *_ in found if kind & UPDATE} == {("updated_at",)}
    assert {(enabled, is_unconditional) for *_, enabled, is_unconditional in found} == {("O", True)}
