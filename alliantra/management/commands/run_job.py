"""Run one job by hand, now, in one workspace."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alliantra.errors import DomainError
from alliantra.jobs import JOBS, JobFailed, last_whole_day, run_job
from alliantra.workspaces.models import Environment
from alliantra.workspaces.services import find_workspace


class Command(BaseCommand):
    """`manage.py run_job score_partners --workspace acme --day 2026-05-30`; `--list` names the jobs."""

    help = "Run one job by hand and print what it did; ends with 1 if it failed. --list names the jobs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which job, where, and for which day."""
        parser.add_argument("name", nargs="?", help="A job that --list names.")
        parser.add_argument("--list", action="store_true", help="Print the jobs, a line each.")
        parser.add_argument("--workspace", help="Slug.")
        parser.add_argument("--environment", choices=Environment.values, default=Environment.PRODUCTION)
        parser.add_argument("--day", help="YYYY-MM-DD in the workspace's time zone; yesterday by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what the job did."""
        if options["list"]:
            width = max(map(len, JOBS))
            for name, job in sorted(JOBS.items()):
                self.stdout.write(f"{name:<{width}}  {job.summary}")
            return
        name = options["name"]
        if name not in JOBS:
            raise CommandError(f"Name one of: {', '.join(sorted(JOBS))}.")
        workspace = self._workspace(options)
        day = self._day(options["day"]) or last_whole_day(workspace)
        try:
            self.stdout.write(run_job(name, workspace, day))
        except JobFailed as error:
            raise CommandError(str(error)) from error
        except DomainError as error:
            places = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in error.errors)
            raise CommandError(places or error.detail) from error

    @staticmethod
    def _workspace(options: dict[str, Any]) -> Any:
        if not options["workspace"]:
            raise CommandError("--workspace is missing.")
        workspace = find_workspace(slug=options["workspace"], environment=options["environment"])
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']} in {options['environment']}.")
        return workspace

    @staticmethod
    def _day(text: str | None) -> date | None:
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise CommandError(f"{text} is no day such as 2026-05-30.") from error
