"""Who acts: an API key, a member in the console, or the system itself."""

from dataclasses import dataclass
from uuid import UUID

from alliantra.workspaces.models import ApiKey, Membership, Workspace
from alliantra.workspaces.permissions import ALL


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor in one workspace. `kind` is api_key, member or system."""

    workspace: Workspace
    kind: str
    name: str
    id: UUID | None = None
    permissions: frozenset[str] = frozenset()
    address: str | None = None
    request_id: str = ""

    def allows(self, permission: str) -> bool:
        """Whether the actor has `permission`, such as `read:payees`."""
        return permission in self.permissions

    @property
    def is_authenticated(self) -> bool:
        """Always: who could not be identified is no actor."""
        return True

    @property
    def pk(self) -> str:
        """Identity for request counting."""
        return f"{self.kind}:{self.id}"

    @classmethod
    def from_api_key(cls, key: ApiKey, *, address: str | None, request_id: str) -> "Actor":
        """The key acts in its own workspace, with its own permissions."""
        permissions = frozenset(key.permissions)
        return cls(key.workspace, "api_key", key.name, key.id, permissions, address, request_id)

    @classmethod
    def from_membership(cls, membership: Membership, *, address: str | None, request_id: str) -> "Actor":
        """A person acts in one workspace at a time, with the permissions of the role there."""
        user = membership.user
        return cls(membership.workspace, "member", user.name, user.id, membership.permissions, address, request_id)

    @classmethod
    def system(cls, workspace: Workspace, name: str = "system") -> "Actor":
        """Jobs and commands."""
        return cls(workspace, "system", name, None, ALL)
