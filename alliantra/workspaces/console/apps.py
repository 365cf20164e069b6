"""Django's registration of the console in place of the stock admin."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """The Django admin with our own site."""

    default = False
    default_site = "alliantra.workspaces.console.site.ConsoleSite"
