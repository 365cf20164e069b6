"""Write the OpenAPI documents of both surfaces, or check that the committed ones are current."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from openapi_spec_validator import validate

from alliantra.api.renderers import encode
from alliantra.api.schema import SURFACES, surface_document


class Command(BaseCommand):
    """`manage.py openapi` writes docs/openapi/*.json; `--check` fails if they would change."""

    help = "Write the OpenAPI documents to docs/openapi, or check them with --check."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--check` writes nothing."""
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Validate each document against OpenAPI 3.1, then write or compare it."""
        for surface in SURFACES:
            document = json.loads(encode(surface_document(surface)))
            validate(document)
            path = Path(settings.BASE_DIR) / "docs" / "openapi" / f"{surface.replace('_', '-')}.json"
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            if not options["check"]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != text:
                message = f"{path.relative_to(settings.BASE_DIR)} is not current. Run manage.py openapi."
                raise CommandError(message)
