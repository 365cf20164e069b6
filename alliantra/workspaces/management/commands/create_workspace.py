"""Create a workspace, or find it: prints its id either way."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alliantra.errors import DomainError
from alliantra.workspaces.models import Environment
from alliantra.workspaces.services import create_workspace, find_workspace


class Command(BaseCommand):
    """`manage.py create_workspace --slug acme --environment production --base-currency GBP`."""

    help = "Create a workspace and print its id; with the same slug and environment again, the same id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Handles for scripts, part of the contract."""
        parser.add_argument("--slug", required=True)
        parser.add_argument("--environment", choices=Environment.values, default=Environment.PRODUCTION)
        parser.add_argument("--name", default="")
        parser.add_argument("--base-currency", default="USD")
        parser.add_argument("--timezone", default="UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the id alone on the last line."""
        handle = {"slug": options["slug"], "environment": options["environment"]}
        workspace = find_workspace(**handle)
        if workspace is None:
            try:
                workspace = create_workspace(
                    **handle,
                    name=options["name"],
                    base_currency=options["base_currency"],
                    timezone=options["timezone"],
                )
            except DomainError as error:
                problems = "; ".join(f"{problem.pointer[1:]}: {problem.detail}" for problem in error.errors)
                raise CommandError(problems or error.detail) from error
        self.stdout.write(str(workspace.id))
