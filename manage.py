#!/usr/bin/env python
"""Django's command line, with the embedded servers up where no others are given."""

import os
import sys

from alliantra import embedded


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alliantra.settings")
    try:
        embedded.prepare_local()
    except embedded.EmbeddedServicesError as error:
        sys.exit(str(error))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
