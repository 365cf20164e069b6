"""Forms of an endpoint: what is sent where, and since when to send again what it missed."""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.theme import NumberInput, TextInput
from webhooks.api.webhooks import FASTEST_RATE
from webhooks.event_types import SUBSCRIBABLE, description_of
from webhooks.models import Endpoint


class EventTypeBoxes(forms.CheckboxSelectMultiple):
    """A box per event type, with when it is announced."""

    template_name = "admin/console/webhook_event_types.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Rows of the table."""
        context = super().get_context(name, value, attrs)
        chosen = set(value or ())
        context["rows"] = [
            {"value": kind.value, "description": description_of(kind), "is_chosen": kind.value in chosen}
            for kind in SUBSCRIBABLE
        ]
        return context

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Through the project's templates, which form renderers do not look into."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))


class EndpointForm(ConsoleForm):
    """Where messages go, which ones, and how fast."""

    event_types = forms.MultipleChoiceField(
        choices=[(kind.value, kind.value) for kind in SUBSCRIBABLE],
        required=False,
        widget=EventTypeBoxes(),
        help_text="None chosen: every type, those of later versions included.",
    )
    rate_per_second = forms.IntegerField(
        label="Rate per second",
        min_value=1,
        max_value=FASTEST_RATE,
        required=False,
        widget=NumberInput(),
        help_text=f"How many messages it is sent in one second, up to {FASTEST_RATE:,}. Leave empty for no limit.",
    )

    class Meta:
        model = Endpoint
        fields = ("url", "event_types", "description", "rate_per_second")
        labels: ClassVar[dict[str, str]] = {"url": "URL"}
        help_texts: ClassVar[dict[str, str]] = {
            "url": "https, port 443 or above 1023, without user name and fragment; all its addresses must be public.",
            "description": "What receives the messages.",
        }


class RecoveryForm(forms.Form):
    """From when on an endpoint is sent what it missed."""

    since = forms.DateTimeField(
        widget=TextInput(attrs={"type": "datetime-local", "class": "date-input"}),
        help_text="In the workspace's time zone: when the messages were announced.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["since"].help_text += f" They are kept for {settings.WEBHOOK_MESSAGE_DAYS} days."

    def clean_since(self) -> datetime:
        """A time that has come. Raises ValidationError for one that has not."""
        since: datetime = self.cleaned_data["since"]
        if since > now():
            raise ValidationError("Nothing has been announced since then: it is yet to come.", code="future")
        return since
