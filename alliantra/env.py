"""Typed reading of environment variables; the only module that knows how a value is spelled there."""

import os
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """Value of NAME, or the content of the file that NAME_FILE points to, or the default."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return default
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        message = f"{name}_FILE: cannot read {path}: {error.strerror}"
        raise ImproperlyConfigured(message) from error


def required(name: str) -> str:
    """Value of NAME (or NAME_FILE); refuses to start without it."""
    value = text(name)
    if not value:
        message = f"{name} is not set. Set {name}, or {name}_FILE to the path of a file that holds it."
        raise ImproperlyConfigured(message)
    return value


def boolean(name: str, *, default: bool) -> bool:
    """`1` or `true`, `0` or `false`; anything else refuses to start."""
    value = text(name, "1" if default else "0")
    if value not in {"1", "true", "0", "false"}:
        message = f"{name} must be 1 or 0, not {value!r}."
        raise ImproperlyConfigured(message)
    return value in {"1", "true"}


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """Whole number, at least `minimum`."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError as error:
        message = f"{name} must be a whole number, not {value!r}."
        raise ImproperlyConfigured(message) from error
    if number < minimum:
        message = f"{name} must be at least {minimum}, not {number}."
        raise ImproperlyConfigured(message)
    return number


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """Comma-separated values, blanks dropped."""
    value = text(name)
    return [word.strip() for word in value.split(",") if word.strip()] if value else list(default)


def choice(name: str, choices: Sequence[str], default: str) -> str:
    """One of `choices`."""
    value = text(name, default)
    if value not in choices:
        message = f"{name} must be one of {', '.join(choices)}, not {value!r}."
        raise ImproperlyConfigured(message)
    return value
