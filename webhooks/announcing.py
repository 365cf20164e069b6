"""Telling the people of a workspace that an endpoint was disabled: in the audit log, and by mail to its owners."""

import structlog
from django.conf import settings
from django.core.mail import send_mail

from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Membership, Role
from webhooks.models import Endpoint

log = structlog.get_logger(__name__)


def announce_disabled(endpoint: Endpoint) -> None:
    """Say that nothing is sent to the endpoint any more, and why. A mail that cannot be sent is logged."""
    after = {"url": endpoint.url, "reason": endpoint.disabled_reason}
    audit.record(Actor.system(endpoint.workspace), "webhook.disabled", endpoint, after=after)
    owners = Membership.objects.in_workspace(endpoint.workspace).filter(role=Role.OWNER, user__is_active=True)
    addresses = list(owners.values_list("user__email", flat=True))
    if not addresses:
        return
    text = (
        f"Alliantra no longer sends webhooks of {endpoint.workspace} to\n\n    {endpoint.url}\n\n"
        f"{endpoint.disabled_reason}\n\nMessages are kept. Once the endpoint works, enable it in the console or by\n"
        f"POST /v1/webhooks/{endpoint.pk}/enable, and recover what it missed."
    )
    try:
        send_mail("A webhook endpoint was disabled", text, settings.DEFAULT_FROM_EMAIL, addresses)
    except OSError as error:
        log.warning("webhooks.mail_not_sent", endpoint_id=str(endpoint.pk), error=str(error))
