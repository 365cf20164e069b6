"""How values look in the console: amounts, moments, identifiers, badges, links, metadata."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone, localtime

from alliantra.money import MINOR_UNITS

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
_BADGES = {
    "active": "good",
    "calculated": "good",
    "approved": "good",
    "locked": "accent",
    "matched": "good",
    "variance": "notice",
    "missing": "bad",
    "unexpected": "notice",
    "completed": "good",
    "ready": "good",
    "analysing": "notice",
    "importing": "notice",
    "needs_mapping": "notice",
    "optimized": "good",
    "production": "plain",
    "pending": "notice",
    "calculating": "notice",
    "staging": "notice",
    "at_risk": "notice",
    "draft": "notice",
    "refund": "notice",
    "on_hold": "bad",
    "failed": "bad",
    "revoked": "bad",
    "development": "accent",
    "demo": "accent",
    "queued": "notice",
    "building": "notice",
    "paused": "plain",
    "sent": "good",
}


def figures(number: Decimal | int, decimals: int = 0) -> str:
    """Digits in groups of three with at least `decimals` decimals, further ones as far as they are not zero."""
    whole, _, rest = f"{abs(Decimal(number)):f}".partition(".")
    rest = rest.rstrip("0").ljust(decimals, "0")
    sign = MINUS if number < 0 else ""
    return f"{sign}{int(whole):,}{'.' + rest if rest else ''}"


def amount(value: Decimal | None, currency: str | None) -> SafeString | str:
    """Tabular figures and the currency's code."""
    if value is None:
        return NOTHING
    text = figures(value, MINOR_UNITS.get(currency or "", 2))
    return format_html('<span class="amount">{}&nbsp;<span class="currency">{}</span></span>', text, currency or "")


def bare_amount(value: Decimal | None, currency: str) -> SafeString | str:
    """An amount where the page says once for all of them which currency they are in."""
    return (
        NOTHING
        if value is None
        else format_html('<span class="amount">{}</span>', figures(value, MINOR_UNITS[currency]))
    )


def quantity(value: Decimal | int | None, unit: str = "", *, decimals: int = 0) -> SafeString | str:
    """A number without a currency, aligned like an amount."""
    return NOTHING if value is None else format_html('<span class="amount">{}{}</span>', figures(value, decimals), unit)


def points(value: Decimal | None) -> SafeString | str:
    """A score, a rank or what is made of them: two decimals, the exact number on hover."""
    if value is None:
        return NOTHING
    shown = figures(Decimal(value).quantize(Decimal("0.01")), 2)
    return format_html('<span class="amount" title="{}">{}</span>', f"{value:f}", shown)


def share(value: Decimal | None, *, is_change: bool = False) -> SafeString | str:
    """A ratio as a percentage to one decimal, the exact ratio on hover; a change says its direction by a sign."""
    if value is None:
        return NOTHING
    percentage = (Decimal(value) * 100).quantize(Decimal("0.1"))
    sign = "+" if is_change and percentage > 0 else ""
    return format_html(
        '<span class="amount" title="{}">{}{}&nbsp;%</span>', f"{value:f}", sign, figures(percentage + 0, 1)
    )


def change(value: Decimal | None) -> SafeString | str:
    """A ratio by which something changed."""
    return share(value, is_change=True)


def moment(value: datetime | None) -> SafeString | str:
    """A time in the workspace's zone, UTC on hover."""
    if value is None:
        return NOTHING
    local, utc = localtime(value), value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC ({})">{}</time>',
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S}",
        f"shown in {get_current_timezone()}",
        f"{local.day} {local:%b %Y, %H:%M}",
    )


def day(value: date | None) -> str:
    """A date."""
    return f"{value.day} {value:%b %Y}" if value else NOTHING


def period(first: date | None, last: date | None, *, always: str = "always") -> str:
    """A window whose sides may be open."""
    if first and first == last:
        return day(first)
    if first and last:
        return f"{day(first)} – {day(last)}"
    if first:
        return f"from {day(first)}"
    return f"until {day(last)}" if last else always


def identifier(value: object) -> SafeString | str:
    """An id in monospace."""
    return format_html('<code class="identifier" title="{0}">{0}</code>', value) if value else NOTHING


def badge(value: str, label: str = "") -> SafeString:
    """A status as a word on a tint; the word carries the meaning."""
    return format_html(
        '<span class="badge badge-{}">{}</span>', _BADGES.get(value, "plain"), label or value.replace("_", " ")
    )


def progress_badge(row: Any) -> SafeString:
    """State of work in the background, with the percentage while it is under way."""
    label = row.get_status_display().lower()
    return badge(row.status, f"{label} {row.progress} %" if row.is_under_way else label)


def page_address(row: Model) -> str:
    """Address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(str(row.pk))])


def link(row: Model | None, text: object = "") -> SafeString | str:
    """A row's name that leads to its page."""
    return format_html('<a class="link" href="{}">{}</a>', page_address(row), text or row) if row else NOTHING


def beside(value: SafeString | str, note: object) -> SafeString:
    """A value, and quietly what there is to say about it."""
    return format_html('{} <span class="quiet">{}</span>', value, note)


def pairs(values: Mapping[str, Any]) -> SafeString | str:
    """Metadata as a list of keys and values."""
    rows = [(key, plain(value)) for key, value in values.items()]
    if not rows:
        return NOTHING
    return format_html('<dl class="pairs">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


def listing(values: Sequence[object], *, empty: str = NOTHING) -> str:
    """Values after one another."""
    return ", ".join(str(value) for value in values) or empty


def plain(value: Any) -> str:
    """A JSON value as people write it."""
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return "; ".join(f"{key}: {plain(item)}" for key, item in value.items())
        case list():
            return ", ".join(plain(item) for item in value)
    return str(value)


def comparison(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> SafeString | str:
    """A table of names with their values before and after."""
    names = list(dict.fromkeys([*(before or {}), *(after or {})]))
    rows = [(name, plain((before or {}).get(name)), plain((after or {}).get(name))) for name in names]
    if not rows:
        return NOTHING
    body = format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td></tr>", rows)
    return format_html(
        '<table class="sheet comparison"><thead><tr><th></th><th>Before</th><th>After</th></tr></thead>'
        "<tbody>{}</tbody></table>",
        body,
    )
