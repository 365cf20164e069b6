"""Views of a workspace: authenticated, permitted, counted, and narrowed before anything else."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Model, QuerySet
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from alliantra.api import idempotency
from alliantra.api.batch import batch_records, run_batch
from alliantra.api.fields import ChoiceField, TextField
from alliantra.api.filters import StrictFilterSet, refuse_strangers
from alliantra.api.pagination import Cursors, Page, PageNumbers
from alliantra.api.permissions import permission_for
from alliantra.api.serializers import StrictSerializer
from alliantra.errors import DomainError, Invalid, NotFound
from alliantra.upserts import Operation, upsert
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace

CONDITIONAL_ACTIONS: Final = frozenset({"update", "remove", "destroy"})
"""Actions on one row that honour If-Match."""


class WorkspaceViewSet(GenericViewSet):
    """Base of every view of both surfaces.

    A subclass names `model` (the rows it shows), `resource` (whose permissions it needs),
    `serializer_class`, and where it lists: `filterset_class` and `paging`.
    """

    model: ClassVar[type[Model]]
    resource: ClassVar[str]
    permissions: ClassVar[Mapping[str, str]] = {}
    """Action → permission, where it is not read or write of `resource`."""
    noun: ClassVar[str] = ""
    """What the records are called in the documents, where the path alone does not say."""
    paging: ClassVar[PageNumbers | Cursors] = PageNumbers()
    filterset_class: ClassVar[type[StrictFilterSet] | None] = None
    query_parameters: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Name → JSON schema of parameters beside paging and filters, taken by every action."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Field name → value in the documented examples, where the schema alone would give a dull one."""
    metadata_class = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    pagination_class = None
    rate_limit_headers: Mapping[str, str] = {}
    idempotent_call: idempotency.IdempotentCall | None = None

    # -- around every request --------------------------------------------------------------------

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, permit, count; then refuse unknown parameters; then look for a stored answer."""
        super().initial(request, *args, **kwargs)
        request._request.actor = request.user  # type: ignore[attr-defined]
        if self.action is None:
            raise MethodNotAllowed(request.method or "")
        refuse_strangers(request, self.known_parameters())
        if request.method == "POST":
            self.idempotent_call = idempotency.begin(request, self.workspace, self.raw_body(request))

    def handle_exception(self, exc: Exception) -> Any:
        """A stored answer ends the request like a refusal does, but is no error."""
        if isinstance(exc, idempotency.Replayed):
            return idempotency.replay(exc.answer)
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the rate limit headers; keep the answer of a keyed call."""
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.rate_limit_headers.items():
            final[name] = value
        if self.idempotent_call is not None:
            self._keep_answer(request, final)
        return final

    def _keep_answer(self, request: Request, response: Any) -> None:
        """In the transaction of the effect; a refusal's is rolled back, so the middleware keeps it after."""
        if isinstance(response, Response):
            response.render()
        if response.status_code < 400:
            idempotency.keep(self.idempotent_call, response)  # type: ignore[arg-type]
        else:
            request._request.refused_call = self.idempotent_call  # type: ignore[attr-defined]

    def raw_body(self, request: Request) -> bytes:
        """The body as sent. Raises body_too_large or body_truncated."""
        announced = self.refuse_large_body(request)
        body = request._request.body
        if len(body) < announced:
            raise DomainError("body_truncated", f"Content-Length says {announced} bytes, {len(body)} arrived.")
        return body

    def refuse_large_body(self, request: Request) -> int:
        """How many bytes are announced. Raises body_too_large."""
        announced = int(request.META.get("CONTENT_LENGTH") or "0")
        if announced > self.body_limit:
            raise DomainError("body_too_large", f"The body may have at most {self.body_limit:,} bytes.")
        return announced

    # -- who and what ----------------------------------------------------------------------------

    @property
    def body_limit(self) -> int:
        """Bytes that a body of the current action may have."""
        is_bulk = (self.action or "").startswith(("batch", "import"))
        return settings.BATCH_BODY_LIMIT_BYTES if is_bulk else settings.BODY_LIMIT_BYTES

    @property
    def actor(self) -> Actor:
        """Who calls."""
        return self.request.user  # type: ignore[return-value]

    @property
    def workspace(self) -> Workspace:
        """Whose rows exist for this request."""
        return self.actor.workspace

    def required_permission(self, method: str) -> str | None:
        """Permission that `method` of the current action needs."""
        special = self.permissions.get(self.action or "")
        return special or permission_for(method, self.resource)

    def known_parameters(self) -> set[str]:
        """Query parameters of the current action."""
        known = set(self.query_parameters)
        if self.action in {"list", *self.paged_actions}:
            known |= set(self.paging.parameters)
        if self.action == "list" and self.filterset_class is not None:
            known |= set(self.filterset_class.base_filters)
        return known

    paged_actions: ClassVar[tuple[str, ...]] = ()
    """Further actions that page."""

    def get_queryset(self) -> QuerySet[Any]:
        """Rows of the caller's workspace; there is no other way to rows from a view."""
        return self.prepare(self.model._default_manager.filter(workspace=self.workspace))

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Hook: select_related, annotations."""
        return rows

    def get_object(self) -> Any:
        """The row that the address names."""
        return self._find(self.get_queryset(), self.kwargs["id"])

    def locked_object(self, identity: Any) -> Any:
        """The row, locked; If-Match is honoured under the lock."""
        locked = self.model._default_manager.filter(workspace=self.workspace).select_for_update(of=("self",))
        self._find(locked, identity)
        row = self._find(self.get_queryset(), identity)
        self._check_if_match(row)
        return row

    def _find(self, rows: QuerySet[Any], identity: Any) -> Any:
        try:
            key = identity if isinstance(identity, UUID) else UUID(str(identity))
        except ValueError as error:
            raise NotFound from error
        row = rows.filter(pk=key).first()
        if row is None:
            raise NotFound
        return row

    def _check_if_match(self, row: Any) -> None:
        header = self.request.META.get("HTTP_IF_MATCH")
        if header is None or self.action not in CONDITIONAL_ACTIONS:
            return
        accepted = {tag.strip().removeprefix("W/") for tag in header.split(",")}
        if "*" not in accepted and self.etag(row) not in accepted:
            raise DomainError("precondition_failed", "The record was changed since you read it.")

    def etag(self, row: Any) -> str:
        """Changes with every change of the row."""
        return f'"{row.updated_at.timestamp():.6f}"'

    def get_serializer_context(self) -> dict[str, Any]:
        """What serializers may know."""
        return {"workspace": self.workspace, "request": self.request, "view": self}

    # -- answers ---------------------------------------------------------------------------------

    def listed(self, rows: Any, serializer: type[BaseSerializer[Any]] | None = None) -> Response:
        """One page of `rows`, a queryset or a list, in its envelope."""
        total = self.total(rows) if isinstance(rows, QuerySet) else None
        page = self.paging.paginate(rows, self.request, total)
        return self.answered_page(page.rows, page, serializer)

    def answered_page(
        self, rows: Sequence[Any], page: Page, serializer: type[BaseSerializer[Any]] | None = None
    ) -> Response:
        """Rows in the envelope of the page that they fill."""
        self.listed_rows(rows)
        shape = serializer or self.get_serializer_class()
        body = {"data": shape(rows, many=True, context=self.get_serializer_context()).data, "meta": page.meta}
        return Response({**body, **self.extra_members()}, headers={"Link": page.link} if page.link else None)

    def total(self, rows: QuerySet[Any]) -> int | None:
        """Hook: a total known without counting."""
        return None

    def listed_rows(self, rows: Sequence[Any]) -> None:
        """Hook: read at once what the serializer will ask for each row of a page."""

    def extra_members(self) -> dict[str, Any]:
        """Hook: members of the envelope beside data and meta."""
        return {}

    def represented(self, row: Any) -> dict[str, Any]:
        """Envelope of one row."""
        return {"data": self.get_serializer(row).data, **self.extra_members()}

    def answered(self, row: Any, status: int = 200) -> Response:
        """One row in its envelope, with its ETag."""
        return Response(self.represented(row), status=status, headers={"ETag": self.etag(row)})


class ReadViews(WorkspaceViewSet):
    """List and retrieve."""

    def list(self, request: Request) -> Response:
        """A page of rows."""
        rows = self.get_queryset()
        if self.filterset_class is not None:
            rows = self.filterset_class(self.request.query_params, rows, request=self.request).qs
        return self.listed(rows)

    def retrieve(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """One row."""
        return self.answered(self.get_object())


class WriteViews(ReadViews):
    """Create and partially update; a subclass calls its services in `create_row` and `update_row`."""

    def create_row(self, values: dict[str, Any]) -> Any:
        """Hook: call the creating service."""
        raise NotImplementedError

    def update_row(self, row: Any, values: dict[str, Any]) -> Any:
        """Hook: call the changing service."""
        raise NotImplementedError

    def validated(self, document: Any, *, partial: bool = False) -> dict[str, Any]:
        """The fields of a body, parsed. Raises invalid with a pointer per wrong place."""
        serializer = self.get_serializer(data=document, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def create(self, request: Request) -> Response:
        """Create one record."""
        row = self.create_row(self.validated(request.data))
        return self.answered(self._reread(row), status=201)

    def update(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Change the fields that are sent; the others stay."""
        row = self.locked_object(id)
        return self.answered(self._reread(self.update_row(row, self.validated(request.data, partial=True))))

    def _reread(self, row: Any) -> Any:
        """The row as a read would find it, with annotations."""
        return self._find(self.get_queryset(), row.pk)


class ConfigurationViews(WriteViews):
    """Create, update, upsert by external_id, and batches of each."""

    def upsert(self, request: Request) -> Response:
        """Create or update the record with this external_id, as `operation` says."""
        row, is_created = self._upsert(request.data)
        return self.answered(row, status=201 if is_created else 200)

    def batch_create(self, request: Request) -> Response:
        """Create up to 100 records; each lands or fails alone."""
        return self._batch(request, lambda record: (201, self.represented(self._created(record))))

    def batch_update(self, request: Request) -> Response:
        """Change up to 100 records, each named by its id."""
        return self._batch(request, lambda record: (200, self.represented(self._updated(record))))

    def batch_upsert(self, request: Request) -> Response:
        """Create or update up to 100 records by external_id."""
        return self._batch(request, self._upserted)

    def _batch(self, request: Request, act: Any) -> Response:
        return Response(run_batch(batch_records(request.data), act, request))

    def _created(self, record: Any) -> Any:
        return self._reread(self.create_row(self.validated(record)))

    def _updated(self, record: Any) -> Any:
        identity, changes = taken(record, "id")
        row = self.locked_object(identity)
        return self._reread(self.update_row(row, self.validated(changes, partial=True)))

    def _upserted(self, record: Any) -> tuple[int, Any]:
        row, is_created = self._upsert(record)
        return (201 if is_created else 200), self.represented(row)

    def _upsert(self, record: Any) -> tuple[Any, bool]:
        keys = UpsertKeys(data={name: record[name] for name in UpsertKeys.names if name in _object(record)})
        keys.is_valid(raise_exception=True)
        external_id = keys.validated_data["external_id"]
        values = {name: value for name, value in record.items() if name != "operation"}
        row, is_created = upsert(
            Operation(keys.validated_data["operation"]),
            self._existing(external_id),
            create=lambda: self.create_row(self.validated(values)),
            update=lambda found: self.update_row(found, self.validated(values, partial=True)),
        )
        return self._reread(row), is_created

    def _existing(self, external_id: str) -> Any:
        """The record with this external id, locked; if there is none, no other upsert can make it meanwhile."""
        lock_name(self.workspace, self.model._meta.label, external_id)
        same = self.model._default_manager.filter(workspace=self.workspace, external_id=external_id)
        return same.select_for_update(of=("self",)).first()


class UpsertKeys(StrictSerializer):
    """What every upsert carries beside the fields."""

    names: ClassVar = ("external_id", "operation")
    external_id = TextField(max_length=200)
    operation = ChoiceField(choices=[operation.value for operation in Operation])


def _object(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise Invalid.field("", "invalid_type", "Expected an object.")
    return record


def taken(record: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """The member `name` of a record, and the rest. Raises invalid if it is missing."""
    if name not in _object(record):
        raise Invalid.field(f"/{name}", "required")
    return record[name], {key: value for key, value in record.items() if key != name}
