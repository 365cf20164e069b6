"""What the installation says about targets."""

from ipaddress import ip_network

from django.conf import settings

from webhooks.targets import TargetPolicy


def target_policy() -> TargetPolicy:
    """Public addresses; loopback under WEBHOOK_PRIVATE_TARGETS, and what WEBHOOK_ALLOWED_NETWORKS adds."""
    networks = tuple(ip_network(text) for text in settings.WEBHOOK_ALLOWED_NETWORKS)
    return TargetPolicy(allows_private=settings.WEBHOOK_PRIVATE_TARGETS, allowed_networks=networks)
