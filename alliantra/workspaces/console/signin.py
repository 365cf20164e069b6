"""Sign-in by e-mail: who may enter, how often one may try, and what the audit log keeps of it."""

from time import time as current_seconds
from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from alliantra.api.throttling import WINDOW_SECONDS, count_request
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.addresses import client_address
from alliantra.workspaces.console.theme import EmailInput, PasswordInput, ThemedSignInForm
from alliantra.workspaces.models import Membership, User

ATTEMPTS_PER_ADDRESS = 30
ATTEMPTS_PER_PERSON = 6
"""Within WINDOW_SECONDS, counted in Redis; without Redis nobody is kept out."""


class SignInForm(ThemedSignInForm):
    """E-mail address and password of an active person, operator of the installation or not."""

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"] = forms.EmailField(
            label="E-mail address", widget=EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
        )
        self.fields["password"].widget = PasswordInput(attrs={"autocomplete": "current-password"})

    def clean(self) -> dict[str, Any]:
        """The person. Raises ValidationError for wrong credentials and for too many attempts."""
        email = str(self.cleaned_data.get("username") or "").lower()
        password = self.cleaned_data.get("password")
        if email and password and self.request is not None:
            self._refuse_haste(email)
            self.user_cache = authenticate(self.request, username=email, password=password)
            if self.user_cache is None:
                record_refusal(self.request, email)
                raise ValidationError("The e-mail address or the password is not right.", code="invalid_login")
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data

    def confirm_login_allowed(self, user: Any) -> None:
        """Any active person; whether they belong to a workspace is decided after sign-in."""
        AuthenticationForm.confirm_login_allowed(self, user)

    def _refuse_haste(self, email: str) -> None:
        window = int(current_seconds() // WINDOW_SECONDS)
        address = client_address(self.request) if self.request is not None else None
        tries = count_request(f"sign-in:{email}", window), count_request(f"sign-in:{address}", window)
        if tries[0] > ATTEMPTS_PER_PERSON or tries[1] > ATTEMPTS_PER_ADDRESS:
            raise ValidationError("Too many attempts. Wait a minute, then try again.", code="rate_limited")


def record_refusal(request: HttpRequest, email: str) -> None:
    """An entry in every workspace of the person whose address was used; none for an address nobody has."""
    user = User.objects.filter(email=email).first()
    for membership in Membership.objects.filter(user=user).select_related("workspace") if user else ():
        actor = Actor(
            membership.workspace,
            "anonymous",
            email[:200],
            address=client_address(request),
            request_id=getattr(request, "request_id", ""),
        )
        audit.record(actor, "member.sign_in_refused", user)
