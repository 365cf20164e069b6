"""Issue an API key for a workspace; prints the key alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Environment
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import find_workspace, issue_api_key


class Command(BaseCommand):
    """`manage.py issue_api_key --workspace acme --permissions all`."""

    help = "Issue an API key and print it alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Handles for scripts, part of the contract."""
        parser.add_argument("--workspace", required=True, help="The workspace's slug.")
        parser.add_argument("--environment", choices=Environment.values, default=Environment.PRODUCTION)
        parser.add_argument("--permissions", default="all", help="all, or a comma-separated list.")
        parser.add_argument("--name", default="Command line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key; it cannot be shown again."""
        workspace = find_workspace(slug=options["workspace"], environment=options["environment"])
        if workspace is None:
            message = f"No workspace {options['workspace']} in {options['environment']}."
            raise CommandError(message)
        listed = [permission.strip() for permission in options["permissions"].split(",") if permission.strip()]
        permissions = sorted(ALL) if listed == ["all"] else listed
        actor = Actor.system(workspace, "manage.py issue_api_key")
        try:
            _, key = issue_api_key(workspace, actor=actor, name=options["name"], permissions=permissions)
        except DomainError as error:
            raise CommandError("; ".join(problem.detail for problem in error.errors) or error.detail) from error
        self.stdout.write(key)
