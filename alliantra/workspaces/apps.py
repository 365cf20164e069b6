"""Django's registration of the app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Users, workspaces, keys and audit."""

    name = "alliantra.workspaces"
    label = "workspaces"
    verbose_name = "Workspace"
