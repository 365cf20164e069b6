"""Template filters and tags of the console; each is a thin name for console.display or console.session."""

from decimal import Decimal
from typing import Any

from django import template
from django.db.models import Model
from django.template.context import RequestContext
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display, session
from alliantra.workspaces.console.trail import Crumb, trail
from alliantra.workspaces.models import AuditEntry

register = template.Library()

register.filter("moment", display.moment)
register.filter("day", display.day)
register.filter("identifier", display.identifier)
register.filter("quantity", display.quantity)
register.filter("figures", display.figures)
register.filter("points", display.points)
register.filter("pairs", display.pairs)
register.filter("plain", display.plain)
register.filter("badge", display.badge)
register.filter("share", display.share)
register.filter("change", display.change)
register.simple_tag(display.amount, name="amount")
register.simple_tag(display.period, name="period")


@register.simple_tag
def percent(value: Decimal) -> SafeString | str:
    """A percentage, aligned like an amount."""
    return display.quantity(value, " %")


@register.simple_tag
def comparison(entry: AuditEntry) -> SafeString | str:
    """Before and after of an audit entry."""
    return display.comparison(entry.before, entry.after)


@register.filter
def row_link(row: Model | None) -> SafeString | str:
    """A row's name that leads to its page."""
    return display.link(row)


@register.simple_tag(takes_context=True, name="trail")
def way(context: RequestContext) -> list[Crumb]:
    """The way to the page."""
    given: Any = context.flatten()
    return trail(given)


@register.simple_tag(takes_context=True)
def workspace_switch(context: RequestContext) -> dict[str, Any]:
    """The current membership and the others to switch to."""
    request = context.request
    current = session.current_membership(request)
    others = [row for row in session.memberships(request) if current is None or row.pk != current.pk]
    return {"current": current, "others": others}
