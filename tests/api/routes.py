"""What the URLconfs route: the table that cross-cutting tests walk."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from alliantra.urls import api_v1, v1


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    template: str
    action: str
    view: Any

    def path(self, identity: UUID | None = None) -> str:
        """The address, with `identity` or an unknown id in its place."""
        address = self.template.replace("<uuid:id>", str(identity or uuid4()))
        address = address.replace("<uuid:delivery_id>", str(uuid4()))
        return address.replace("<int:version>", "1").replace("<slug:key>", "generic")

    @property
    def permission(self) -> str | None:
        """What the view says the call needs."""
        view = self.view()
        view.action = self.action
        return view.required_permission(self.method)

    @property
    def has_id(self) -> bool:
        """Whether the address names a record."""
        return "<uuid:id>" in self.template

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


PATTERNS: list[Any] = [*v1.urlpatterns, *api_v1.urlpatterns]
ROUTES = [
    Route(method.upper(), f"/{pattern.pattern}", action, pattern.callback.cls)
    for pattern in PATTERNS
    for method, action in pattern.callback.actions.items()
    if method != "head"
]
LISTS = [route for route in ROUTES if route.action == "list"]
DETAILS = [route for route in ROUTES if route.has_id]
