"""Who is signed in, and the one workspace they look at: memberships, the current one, the actor."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.addresses import client_address
from alliantra.workspaces.models import Membership, User, Workspace

SESSION_NAME = "workspace_id"
_CACHE = "_console_memberships"


def memberships(request: HttpRequest) -> list[Membership]:
    """The signed-in person's memberships with their workspaces, by name; read once per request."""
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return []
    cached: tuple[UUID, list[Membership]] | None = getattr(request, _CACHE, None)
    if cached is None or cached[0] != user.pk:
        rows = Membership.objects.filter(user=user).select_related("workspace", "user")
        cached = (user.pk, list(rows.order_by("workspace__name", "workspace__environment", "id")))
        setattr(request, _CACHE, cached)
    return cached[1]


def current_membership(request: HttpRequest) -> Membership | None:
    """Membership in the workspace chosen in the session, else in the first; None for people without any."""
    candidates = memberships(request)
    chosen = request.session.get(SESSION_NAME) if candidates else None
    return next((row for row in candidates if str(row.workspace_id) == chosen), next(iter(candidates), None))


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in member as an actor of the current workspace. Raises PermissionDenied for anyone else."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is not None:
        return actor
    membership = current_membership(request)
    if membership is None:
        raise PermissionDenied
    actor = Actor.from_membership(
        membership, address=client_address(request), request_id=getattr(request, "request_id", "")
    )
    request.membership = membership  # type: ignore[attr-defined]
    request.actor = actor  # type: ignore[attr-defined]
    return actor


def allows(request: HttpRequest, permission: str) -> bool:
    """Whether the signed-in member's role has a permission here; nobody else has any."""
    return current_membership(request) is not None and actor_of(request).allows(permission)


def workspace_of(request: HttpRequest) -> Workspace:
    """The current workspace."""
    return actor_of(request).workspace


def choose_workspace(request: HttpRequest, workspace_id: str) -> Membership | None:
    """Remember a workspace of the person's own; None, and nothing remembered, for any other."""
    for membership in memberships(request):
        if str(membership.workspace_id) == workspace_id:
            request.session[SESSION_NAME] = workspace_id
            return membership
    return None
