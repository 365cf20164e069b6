"""The console's pages for webhooks: endpoints, and what was sent to them."""

from webhooks.admin import deliveries, endpoints

__all__ = ["deliveries", "endpoints"]
