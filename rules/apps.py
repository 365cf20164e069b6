"""Django's registration of the app."""

from django.apps import AppConfig


class RulesConfig(AppConfig):
    """Rules and calculation runs."""

    name = "rules"
