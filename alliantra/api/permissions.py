"""What the caller may do: `read:<resource>` to look, `write:<resource>` to change."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from alliantra.api.authentication import acting
from alliantra.errors import DomainError

_VERBS = {"GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write"}


class ResourcePermission(BasePermission):
    """Asks the view which permission the request needs; a method without an answer is refused."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or a 403 that names the missing permission."""
        if request.method not in view.allowed_methods:
            return True  # the view answers 405
        required = view.required_permission(request.method)
        actor = acting(request)
        if required is not None and (actor is None or not actor.allows(required)):
            message = f"This needs the permission {required}."
            raise DomainError("permission_denied", message, required_permission=required)
        return True


def permission_for(method: str, resource: str) -> str:
    """`read:payees` for GET on payees."""
    return f"{_VERBS[method]}:{resource}"
