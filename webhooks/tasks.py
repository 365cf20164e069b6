"""Celery entry points of webhooks."""

from celery import shared_task

from webhooks import retention, sender


@shared_task
def send_deliveries() -> None:
    """Send what is due. Any number may run at once."""
    sender.send_due()


@shared_task
def forget_old_messages() -> None:
    """Delete messages, with all that was tried for them, that nobody can ask for any more."""
    retention.forget_old_messages()
