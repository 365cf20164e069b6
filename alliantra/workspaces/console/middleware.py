"""What only people need: sessions, signed-in users and messages, none of which a program's request pays for."""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware

from alliantra.api.middleware import is_api


class _ForPeople:
    """Passes requests of programs on untouched."""

    get_response: Any

    def __call__(self, request: Any) -> Any:
        """The answer of the rest, with or without this middleware's part."""
        return self.get_response(request) if is_api(request) else super().__call__(request)  # type: ignore[misc]


class ConsoleSessionMiddleware(_ForPeople, SessionMiddleware):
    """Django's sessions."""


class ConsoleAuthenticationMiddleware(_ForPeople, AuthenticationMiddleware):
    """Django's `request.user`."""


class ConsoleMessageMiddleware(_ForPeople, MessageMiddleware):
    """Django's messages."""
