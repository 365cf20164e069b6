"""Django's registration of the app."""

from django.apps import AppConfig


class PartnersConfig(AppConfig):
    """Partners and payees."""

    name = "partners"
