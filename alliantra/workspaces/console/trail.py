"""Where a page is: the list that it belongs to, the row, and what is done on it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from alliantra.workspaces.console.display import page_address
from alliantra.workspaces.console.menu import GROUPS


class Crumb(NamedTuple):
    """A step of the way; the last has no address."""

    title: str
    link: str


MENU = {address: title for _, entries in GROUPS for title, _, address, _ in entries}


def list_title(opts: Any) -> str:
    """What the list of a model is called: as in the menu where it has an entry."""
    name = f"admin:{opts.app_label}_{opts.model_name}_changelist"
    return MENU.get(name) or str(capfirst(opts.verbose_name_plural))


def trail(context: Mapping[str, Any]) -> list[Crumb]:
    """The way to a page, from what its template is given."""
    title, opts = str(context.get("title") or ""), context.get("opts")
    if opts is None or context.get("cl") is not None:
        return [Crumb(title, "")]
    row = next((each for each in (context.get("original"), context.get("object")) if isinstance(each, Model)), None)
    if row is not None:
        command = context.get("command")
        steps = [_list(row._meta), Crumb(str(row), page_address(row))]
        return [*steps, Crumb(title, "")] if command is not None else steps
    return [Crumb(title, "")] if title == list_title(opts) else [_list(opts), Crumb(title, "")]


def _list(opts: Any) -> Crumb:
    try:
        return Crumb(list_title(opts), reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
    except NoReverseMatch:
        return Crumb(list_title(opts), "")
