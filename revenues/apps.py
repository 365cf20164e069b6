"""Django's registration of the app."""

from django.apps import AppConfig


class RevenuesConfig(AppConfig):
    """The revenue ledger."""

    name = "revenues"
