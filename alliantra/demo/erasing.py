"""Taking a demo workspace away again, ledger and audit log included; a real workspace never goes this way."""

from django.apps import apps
from django.db import connection, transaction

from alliantra.errors import DomainError
from alliantra.workspaces.models import Membership, User, Workspace, WorkspaceModel
from rules.models import Rule


@transaction.atomic
def erase_demo(workspace: Workspace) -> None:
    """Delete every row of a demo workspace, and the people who belong to it alone. Raises conflict for any other."""
    if not workspace.is_demo:
        message = f"{workspace} is no demo workspace; its ledger is append-only."
        raise DomainError("conflict", message)
    people = list(Membership.objects.in_workspace(workspace).values_list("user_id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('alliantra.erase_workspace', %s, true)", [str(workspace.pk)])
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        Rule.objects.in_workspace(workspace).update(active_version=None)
        for table in tenant_tables():
            cursor.execute(f'DELETE FROM "{table}" WHERE workspace_id = %s', [workspace.pk])  # noqa: S608
    workspace.delete()
    User.objects.filter(pk__in=people, memberships=None).delete()


def tenant_tables() -> list[str]:
    """Tables whose rows belong to a workspace."""
    return [
        model._meta.db_table for model in apps.get_models() if issubclass(model, WorkspaceModel) and model._meta.managed
    ]
