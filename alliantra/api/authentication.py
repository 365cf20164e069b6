"""Who calls: bearer API keys, checked for format, expiry, network and workspace."""

from typing import Any
from uuid import UUID

from django.utils.timezone import now
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.addresses import client_address
from alliantra.workspaces.models import ApiKey
from alliantra.workspaces.services import find_api_key, note_api_key_use

CHALLENGE = 'Bearer realm="alliantra"'


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <API key>`; `X-Workspace-ID` may be left out and must agree if sent."""

    def authenticate(self, request: Request) -> tuple[Actor, ApiKey]:
        """The acting key. Raises not_authenticated, network_not_allowed or workspace_mismatch."""
        key = find_api_key(bearer_credentials(request))
        moment = now()
        if key is None or not key.is_usable(moment):
            raise not_authenticated("The API key is unknown, expired or revoked.")
        address = client_address(request)
        if address is None or not key.allows_address(address):
            raise DomainError("network_not_allowed", "This API key may not be used from your address.")
        _check_workspace_header(request, key)
        note_api_key_use(key, now=moment)
        actor = Actor.from_api_key(key, address=address, request_id=getattr(request, "request_id", ""))
        return actor, key

    def authenticate_header(self, request: Request) -> str:
        """WWW-Authenticate of a 401."""
        return CHALLENGE


def acting(request: Request) -> Actor | None:
    """Who makes the request; None before and without authentication."""
    user: Any = request.user
    return user if isinstance(user, Actor) else None


def bearer_credentials(request: Request) -> str:
    """The presented token. Raises not_authenticated, or invalid_header for several credentials."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        raise not_authenticated("Send Authorization: Bearer and an API key.")
    if "," in header:
        raise DomainError("invalid_header", "Send one Authorization header with one credential.")
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "bearer" or not credentials.strip():
        raise not_authenticated("Send Authorization: Bearer and an API key.")
    return credentials.strip()


def _check_workspace_header(request: Request, key: ApiKey) -> None:
    header = request.META.get("HTTP_X_WORKSPACE_ID")
    if header is None:
        return
    try:
        claimed = UUID(header)
    except ValueError as error:
        raise DomainError("invalid_header", "X-Workspace-ID must be one workspace id.") from error
    if claimed != key.workspace_id:
        raise DomainError("workspace_mismatch", "The API key belongs to another workspace than X-Workspace-ID says.")


def not_authenticated(detail: str) -> DomainError:
    """A 401 with its challenge."""
    return DomainError("not_authenticated", detail, headers={"WWW-Authenticate": CHALLENGE})
