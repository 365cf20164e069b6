"""The webhooks app."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Messages to the outside."""

    name = "webhooks"
