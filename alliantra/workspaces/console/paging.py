"""Links to the pages of a table that is no list of the admin's own."""

from typing import Any, NamedTuple

from django.core.paginator import Page
from django.http import QueryDict


class PageLink(NamedTuple):
    """One link; no address for the page that is shown, and for a gap."""

    text: str
    address: str
    is_current: bool


def page_links(page: Page[Any], parameter: str, query: QueryDict, *, anchor: str = "") -> list[PageLink]:
    """Numbers with gaps; nothing for a single page. Everything else in the address stays."""
    if not page.has_other_pages():
        return []
    kept = query.copy()
    found = []
    for number in page.paginator.get_elided_page_range(page.number):
        is_gap = not isinstance(number, int)
        kept[parameter] = str(number)
        address = "" if is_gap or number == page.number else f"?{kept.urlencode()}{'#' if anchor else ''}{anchor}"
        found.append(PageLink(str(number), address, number == page.number))
    return found
