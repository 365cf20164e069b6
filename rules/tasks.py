"""Celery entry points of calculation."""

from uuid import UUID

from celery import shared_task

from rules import calculation


@shared_task
def calculate_run(*, run_id: str) -> None:
    """Calculate one run, unless another worker does."""
    calculation.calculate(UUID(run_id))


@shared_task
def sweep_runs() -> None:
    """Calculate runs that no worker was woken for, or whose worker died."""
    calculation.sweep()
