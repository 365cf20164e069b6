"""Make an account for a person, and a member of a workspace where one is named."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Environment, Role
from alliantra.workspaces.services import add_member, create_user, find_workspace


class Command(BaseCommand):
    """`manage.py create_user --email ada@acme.example --name Ada --workspace acme --role owner`."""

    help = "Make an account and print its generated password alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, and where they belong."""
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", required=True)
        parser.add_argument("--workspace", default="", help="Slug of the workspace to join.")
        parser.add_argument("--environment", choices=Environment.values, default=Environment.PRODUCTION)
        parser.add_argument("--role", choices=Role.values, default=Role.VIEWER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the password; it cannot be shown again."""
        password = secrets.token_urlsafe(15)
        try:
            self._create(password, **options)
        except DomainError as error:
            problems = "; ".join(f"{problem.pointer[1:]}: {problem.detail}" for problem in error.errors)
            raise CommandError(problems or error.detail) from error
        self.stdout.write(password)

    @transaction.atomic
    def _create(self, password: str, **options: Any) -> None:
        user = create_user(email=options["email"], name=options["name"], password=password)
        if not options["workspace"]:
            return
        workspace = find_workspace(slug=options["workspace"], environment=options["environment"])
        if workspace is None:
            message = f"No workspace {options['workspace']} in {options['environment']}."
            raise CommandError(message)
        actor = Actor.system(workspace, "manage.py create_user")
        add_member(workspace, actor=actor, user=user, role=options["role"])
