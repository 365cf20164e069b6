"""The console's site: who may enter, which workspace they see, and pages for refusals."""

from functools import update_wrapper
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone

from alliantra.workspaces import audit
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.session import actor_of, choose_workspace, current_membership
from alliantra.workspaces.console.signin import SignInForm
from alliantra.workspaces.console.theme import ThemedSite

LEFT_OUT = {"view_on_site"}
"""Addresses of the stock admin that look rows up without a workspace."""


class ConsoleSite(ThemedSite):
    """Open to active people with a membership; they see one workspace at a time, in its time zone."""

    enable_nav_sidebar = True
    index_title = "Home"
    index_template = "admin/console/home.html"
    login_form = SignInForm

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Pages on our base class only: what Django registers by itself knows no workspace."""
        if admin_class is not None and issubclass(admin_class, ConsoleAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Active, and a member of at least one workspace."""
        if current_membership(request) is None:
            return False
        actor_of(request)
        return True

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002
        """The view in the workspace's time zone; a refusal or a missing row is a page of the console."""
        guarded = super().admin_view(view, cacheable)

        def in_workspace(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            membership = current_membership(request)
            with timezone.override(membership.workspace.zone if membership else None):
                try:
                    response = guarded(request, *args, **kwargs)
                except Http404:
                    response = self.refusal(request, 404)
                except PermissionDenied:
                    response = self.refusal(request, 403)
                except SuspiciousOperation:
                    response = self.refusal(request, 400)
                return response.render() if isinstance(response, TemplateResponse) else response

        return update_wrapper(in_workspace, guarded)

    def refusal(self, request: HttpRequest, status: int) -> HttpResponse:
        """A page that says what is not there or not allowed; what the view wrote is rolled back."""
        titles = {400: "Not a valid address", 403: "Not allowed", 404: "Not found"}
        context = {**self.each_context(request), "title": titles[status], "status": status}
        page = TemplateResponse(request, "admin/console/refusal.html", context, status=status).render()
        if connection.in_atomic_block:
            transaction.set_rollback(True)
        return page

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Django's own, without those that look past the workspace, and the switch between workspaces."""
        switch = path("switch-workspace/", self.switch_workspace, name="switch_workspace")
        return [switch, *(item for item in super().get_urls() if getattr(item, "name", None) not in LEFT_OUT)]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sign in; who is signed in but belongs to no workspace is told so."""
        if request.method == "GET" and request.user.is_authenticated and not self.has_permission(request):
            context = {**self.each_context(request), "title": "No workspace yet"}
            return TemplateResponse(request, "admin/console/no_membership.html", context, status=403)
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == HttpResponseRedirect.status_code:
            self._record(request, "member.signed_in")
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign out."""
        self._record(request, "member.signed_out")
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Change one's own password."""
        response = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == HttpResponseRedirect.status_code:
            self._record(request, "member.password_changed")
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Not offered: the theme's own search loads every match and caches it without a workspace."""
        raise Http404

    def switch_workspace(self, request: HttpRequest) -> HttpResponse:
        """Look at another workspace of one's own; back to Home, since rows of one are not rows of another."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        membership = choose_workspace(request, request.POST.get("workspace", ""))
        if membership is None:
            return self.refusal(request, 404)
        messages.info(request, f"You are now in {membership.workspace}.")
        return HttpResponseRedirect(reverse("admin:index"))

    def _record(self, request: HttpRequest, action: str) -> None:
        if current_membership(request) is not None:
            audit.record(actor_of(request), action, request.user)  # type: ignore[arg-type]
