"""Make a demo workspace; the same scenario, seed and day give the same figures."""

import json
import os
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.timezone import now

from alliantra.demo.building import Credentials, build
from alliantra.demo.erasing import erase_demo
from alliantra.demo.scenarios import SCENARIOS
from alliantra.workspaces.models import Workspace


class Command(BaseCommand):
    """`manage.py demo --scenario saas`."""

    help = "Make a demo workspace with two years of history; writes how to sign in to DATA_DIR/credentials.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which company, which random numbers, and what to do with what exists."""
        parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="saas")
        parser.add_argument("--seed", type=int, default=20260531)
        parser.add_argument("--reset", action="store_true", help="Take the demo of this scenario away first.")
        parser.add_argument("--if-empty", action="store_true", help="Do nothing where any workspace exists.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Build, and write the credentials where only the owner can read them."""
        scenario = SCENARIOS[options["scenario"]]
        if options["if_empty"] and Workspace.objects.exists():
            self.stdout.write("The database is not empty; nothing was added.")
            return
        existing = list(Workspace.objects.filter(slug=scenario.slug, is_demo=True))
        if existing and not options["reset"]:
            self.stdout.write(f"The demo {existing[0]} exists. Use --reset to make it anew.")
            return
        for workspace in existing:
            erase_demo(workspace)
        made, credentials = build(scenario, now=now(), seed=options["seed"])
        path = write_credentials(credentials)
        self.stdout.write(f"{made}: scenario {options['scenario']}, seed {options['seed']}.")
        self.stdout.write(f"How to sign in stands in {path}.")


def write_credentials(credentials: Credentials) -> Path:
    """Write the file anew, readable by its owner alone from its first byte."""
    path = Path(settings.DATA_DIR) / "credentials.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
    return path
