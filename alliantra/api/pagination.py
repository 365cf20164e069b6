"""Both paging styles: pages with totals on `/api/v1`, signed cursors on `/v1`."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core import signing
from django.db.models import F, QuerySet
from rest_framework.request import Request

from alliantra.api.authentication import acting
from alliantra.change_times import ChangeTimeField
from alliantra.commits import settled_until
from alliantra.errors import DomainError
from alliantra.keysets import beyond

LAST_PAGE = 1_000_000


def whole_number(request: Request, name: str, *, default: int, maximum: int) -> int:
    """A query parameter from 1 to `maximum`. Raises invalid_parameter."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= maximum):
        message = f"{name} must be a whole number from 1 to {maximum:,}."
        raise DomainError("invalid_parameter", message, parameter=name)
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, and what the envelope says about it."""

    rows: Sequence[Any]
    meta: dict[str, Any]
    link: str | None = None


class PageNumbers:
    """`page` and `per_page`; meta tells current_page, last_page, per_page and total."""

    parameters = ("page", "per_page")
    maximum = 100

    def __init__(self, default: int = 100) -> None:
        self.default = default

    def paginate(self, rows: Any, request: Request, total: int | None = None) -> Page:
        """The asked page of a queryset or a list; a queryset without order goes by created_at and id.

        A page past the end is empty.
        """
        if isinstance(rows, QuerySet) and not rows.ordered:
            rows = rows.order_by("created_at", "id")
        page, size = self.asked(request)
        if total is None:
            total = rows.count() if isinstance(rows, QuerySet) else len(rows)
        start = (page - 1) * size
        found = list(rows[start : start + size]) if start < total else []
        return Page(found, self.meta(page, size, total))

    def asked(self, request: Request) -> tuple[int, int]:
        """Number of the asked page, and rows on a page. Raises invalid_parameter."""
        page = whole_number(request, "page", default=1, maximum=LAST_PAGE)
        return page, whole_number(request, "per_page", default=self.default, maximum=self.maximum)

    @staticmethod
    def meta(page: int, size: int, total: int) -> dict[str, int]:
        """What the envelope says of a page."""
        return {"current_page": page, "last_page": max(1, -(-total // size)), "per_page": size, "total": total}


class Cursors:
    """`cursor` and `limit` over a total order; a cursor is signed and bound to workspace, path and filters."""

    parameters = ("cursor", "limit")
    default, maximum = 50, 200
    _SALT = "alliantra.cursor"

    def __init__(self, *order: str) -> None:
        """`order` names columns as order_by does; the last one must be unique."""
        self.order = order or ("created_at", "id")

    def paginate(self, rows: QuerySet[Any], request: Request, total: int | None = None) -> Page:
        """The rows after the cursor; a page costs the same wherever it stands."""
        limit = whole_number(request, "limit", default=self.default, maximum=self.maximum)
        text = request.query_params.get("cursor")
        if text is not None:
            rows = rows.filter(beyond(self.order, self._read(text, request)))
        found = list(rows.order_by(*self._ordering())[: limit + 1])
        has_more = len(found) > limit
        found = found[:limit]
        cursor = self._write(found[-1], request) if has_more else None
        meta = {"next_cursor": cursor, "has_more": has_more}
        return Page(found, meta, self._link(request, cursor) if cursor else None)

    def paginate_ranked(
        self, ranked: Sequence[tuple[Decimal | None, UUID]], request: Request
    ) -> tuple[list[UUID], Page]:
        """Of ids in descending order of a value, those without one last: the ids after the cursor, and a page to fill.

        The cursor names value and id, so that a page goes on where the last one ended, whatever has moved since.
        """
        limit = whole_number(request, "limit", default=self.default, maximum=self.maximum)
        text = request.query_params.get("cursor")
        start = 0
        if text is not None:
            start = bisect_right(ranked, _rank(*self._read(text, request)), key=lambda one: _rank(*one))
        found = ranked[start : start + limit]
        has_more = len(ranked) > start + limit
        cursor = self._sign([_as_text(value) for value in found[-1]], request) if has_more else None
        meta = {"next_cursor": cursor, "has_more": has_more}
        return [identity for _, identity in found], Page([], meta, self._link(request, cursor) if cursor else None)

    def _ordering(self) -> list[Any]:
        return [F(name[1:]).desc() if name.startswith("-") else F(name).asc() for name in self.order]

    def _write(self, row: Any, request: Request) -> str:
        return self._sign([_as_text(getattr(row, name.removeprefix("-"))) for name in self.order], request)

    def _sign(self, values: list[list[str]], request: Request) -> str:
        return signing.dumps([self._binding(request), values], salt=self._SALT, compress=True)

    def _read(self, text: str, request: Request) -> list[Any]:
        message = "The cursor is not of this list with these filters. Begin again without it."
        try:
            binding, values = signing.loads(text, salt=self._SALT)
        except (signing.BadSignature, ValueError) as error:
            raise DomainError("invalid_parameter", message, parameter="cursor") from error
        if binding != self._binding(request):
            raise DomainError("invalid_parameter", message, parameter="cursor")
        return [_from_text(value) for value in values]

    def _binding(self, request: Request) -> str:
        actor = acting(request)
        assert actor is not None
        filters = sorted(item for item in request.query_params.items() if item[0] not in self.parameters)
        text = repr((str(actor.workspace.pk), request.path, self.order, filters))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def _link(self, request: Request, cursor: str) -> str:
        query = request.query_params.copy()
        query["cursor"] = cursor
        return f'<{request.build_absolute_uri(request.path)}?{query.urlencode()}>; rel="next"'


class ChangeCursors(Cursors):
    """Cursors over a list that can also be pulled by `updated_since`, which then comes in the order of its changes.

    A pull never passes what somebody is still writing: it comes with a later one. The column that a list is pulled by
    is a ChangeTimeField, or the moment of a change could lie before a pull that was made earlier.
    """

    def __init__(self, *order: str, changes: tuple[str, ...] = ("updated_at", "id")) -> None:
        """`order` without `updated_since`, `changes` with it, each as for Cursors."""
        super().__init__(*order)
        self._changes = Cursors(*changes)
        self._changed_at = changes[0]

    def paginate(self, rows: QuerySet[Any], request: Request, total: int | None = None) -> Page:
        """The rows after the cursor, in the order that fits the request."""
        if "updated_since" in request.query_params:
            return self._changes.paginate(self.settled(rows), request, total)
        return super().paginate(rows, request, total)

    def settled(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Without rows that changed so lately that others of that time may still be uncommitted."""
        assert isinstance(rows.model._meta.get_field(self._changed_at), ChangeTimeField), rows.model
        return rows.filter(**{f"{self._changed_at}__lt": settled_until(rows.model._meta.db_table)})


def _rank(value: Decimal | None, identity: UUID) -> tuple[bool, Decimal, UUID]:
    return value is None, -(value or Decimal(0)), identity


def _as_text(value: Any) -> list[str]:
    match value:
        case None:
            return ["n", ""]
        case datetime():
            return ["t", value.isoformat()]
        case UUID():
            return ["u", str(value)]
        case Decimal() | int():
            return ["d", str(value)]
    return ["s", str(value)]


def _from_text(value: list[str]) -> Any:
    kind, text = value
    readers: dict[str, Any] = {"n": lambda _: None, "t": datetime.fromisoformat, "u": UUID, "d": Decimal, "s": str}
    return readers[kind](text)
