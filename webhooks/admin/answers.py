"""What a receiver said, and what became of a delivery, in a word on a tint."""

from collections.abc import Mapping
from typing import Final

from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from webhooks.models import DeliveryStatus
from webhooks.retries import Outcome, outcome

TONES: Final[Mapping[str, str]] = {
    DeliveryStatus.PENDING: "pending",
    DeliveryStatus.DELIVERED: "active",
    DeliveryStatus.FAILED: "failed",
}
ERRORS: Final[Mapping[str, str]] = {
    "timeout": "no answer in time",
    "resolution": "the name has no address",
    "forbidden_target": "the address is not allowed",
    "refused": "no connection",
    "tls": "no TLS, or a wrong certificate",
    "closed": "hung up too early",
    "bad_response": "not an HTTP answer",
}
"""Why there was no complete answer."""


def delivery_badge(status: str) -> SafeString:
    """What became of a delivery."""
    return display.badge(TONES[status], status)


def answer_badge(status_code: int | None, error: str) -> SafeString | str:
    """The status, or why there was none; both where the answer broke off."""
    if status_code is None and not error:
        return display.NOTHING
    parts = [str(status_code)] if status_code is not None else []
    parts += [ERRORS.get(error, error)] if error else []
    is_good = not error and outcome(status_code) is Outcome.DELIVERED
    return display.badge("active" if is_good else "failed", ", ".join(parts))
