"""The command line of the embedded servers: `python -m alliantra.embedded status | urls | stop`."""
# ruff: noqa: T201 -- a command line prints

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from alliantra.embedded import data_folder
from alliantra.embedded.folder import EmbeddedServicesError, Folder
from alliantra.embedded.keeper import end_keeper, keep, keeper_pid, published


def status(folder: Folder) -> int:
    """Print what runs; 1 if nothing does."""
    pid = keeper_pid(folder)
    if pid is None:
        print(f"Nothing runs on {folder.root}.")
        return 1
    print(f"Keeper {pid} runs on {folder.root}.")
    for variable, url in sorted(published(folder).items()):
        print(f"  {variable:12}  127.0.0.1:{urlsplit(url).port}")
    return 0


def urls(folder: Folder) -> int:
    """Print the running servers' URLs, passwords included, as lines for a shell; 1 if there are none."""
    services = published(folder)
    if not services:
        print(f"Nothing runs on {folder.root}.", file=sys.stderr)
        return 1
    for variable, url in sorted(services.items()):
        print(f"export {variable}='{url}'")
    return 0


def stop(folder: Folder) -> int:
    """Stop the servers, whoever uses them."""
    print("Stopped." if end_keeper(folder) else f"Nothing runs on {folder.root}.")
    return 0


def main() -> int:
    """Run one command; `keep` is how the servers' keeper itself is started."""
    parser = argparse.ArgumentParser(prog="python -m alliantra.embedded", description=__doc__)
    commands = {"status": status, "urls": urls, "stop": stop}
    parser.add_argument("command", choices=[*commands, "keep"], metavar="{status,urls,stop}")
    parser.add_argument("data_dir", nargs="?", type=Path, help="default: DATA_DIR, or .data beside manage.py")
    arguments = parser.parse_args()
    folder = data_folder(arguments.data_dir)
    if arguments.command == "keep":
        keep(folder, durable=os.environ.get("EMBEDDED_DURABLE", "1") != "0")
        return 0
    try:
        return commands[arguments.command](folder)
    except EmbeddedServicesError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
