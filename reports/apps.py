"""Django's registration of the app."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Reports and intelligence above the ledger."""

    name = "reports"
