"""OpenAPI 3.1 per surface: envelopes, problems, parameters and batches as the views really answer."""

import inspect
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

from django_filters import ChoiceFilter
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from alliantra.api.closed import close_requests
from alliantra.api.examples import add_examples
from alliantra.api.filters import BooleanFilter, DateFilter, ReferenceFilter, TimeFilter
from alliantra.api.idempotency import KEY_LENGTH
from alliantra.api.pagination import LAST_PAGE
from alliantra.api.viewsets import CONDITIONAL_ACTIONS
from alliantra.errors import FIELD_CODES, PROBLEMS
from alliantra.upserts import Operation

Schema = dict[str, Any]
VALUES = "x-example-values"
COMPLETE = "x-complete"
"""Marks a response schema that already is the whole body."""

PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "enum": sorted(PROBLEMS)},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901 pointer into the request body."},
                    "code": {"type": "string", "enum": sorted(FIELD_CODES)},
                    "detail": {"type": "string"},
                },
            },
        },
        "required_permission": {"type": "string"},
        "parameter": {"type": "string"},
    },
}
PAGE_META: Schema = {
    "type": "object",
    "required": ["current_page", "last_page", "per_page", "total"],
    "properties": {name: {"type": "integer"} for name in ("current_page", "last_page", "per_page", "total")},
}
CURSOR_META: Schema = {
    "type": "object",
    "required": ["next_cursor", "has_more"],
    "properties": {"next_cursor": {"type": ["string", "null"]}, "has_more": {"type": "boolean"}},
}
BATCH_META: Schema = {
    "type": "object",
    "required": ["processed", "succeeded", "failed", "limit"],
    "properties": {name: {"type": "integer"} for name in ("processed", "succeeded", "failed", "limit")},
}
_PROBLEM_REF: Schema = {"$ref": "#/components/schemas/Problem"}
_COMPONENTS: Schema = {
    "schemas": {"Problem": PROBLEM_SCHEMA, "PageMeta": PAGE_META, "CursorMeta": CURSOR_META, "BatchMeta": BATCH_META},
    "securitySchemes": {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "A workspace API key, `alli_live_…`."}
    },
}
_ALWAYS = (400, 401, 403, 414, 429, 503)
_WITH_ID = (404,)
_WITH_BODY = (409, 411, 413, 415, 422)
_PAGING: Mapping[str, Schema] = {
    "page": {"type": "integer", "minimum": 1, "maximum": LAST_PAGE, "default": 1},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "cursor": {"type": "string", "minLength": 1},
    "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
}
_BATCH_ACTIONS = {"batch_create", "batch_update", "batch_upsert", "batch_destroy"}


def batch_answer(body: Schema) -> Schema:
    """Schema of the answer to a batch whose single call answers `body`."""
    result = {
        "type": "object",
        "required": ["index", "success", "status", "response"],
        "properties": {
            "index": {"type": "integer"},
            "success": {"type": "boolean"},
            "status": {"type": "integer"},
            "response": {"anyOf": [body, _PROBLEM_REF]},
        },
    }
    return complete({"data": {"type": "array", "items": result}, "meta": {"$ref": "#/components/schemas/BatchMeta"}})


def complete(properties: Schema) -> Schema:
    """An object with these members, all required: the whole body, not to be enveloped again."""
    return {"type": "object", "required": list(properties), "properties": properties, COMPLETE: True}


def batch_request(record: Schema, limit: int) -> Schema:
    """Schema of `{"records": [...]}`."""
    records = {"type": "array", "minItems": 1, "maxItems": limit, "items": record}
    return {"type": "object", "required": ["records"], "properties": {"records": records}}


class SurfaceSchema(AutoSchema):
    """How one operation of either surface is described."""

    def get_operation_id(self) -> str:
        """`payees_batch_create`."""
        return f"{self._noun()}_{self._action()}"

    def get_tags(self) -> list[str]:
        """One tag per collection."""
        return [self._noun().replace("_", " ").capitalize()]

    def get_summary(self) -> str | None:
        """What the action does to which records; for a special action, the first line of its docstring."""
        template = _SUMMARIES.get(self._action())
        if template is None:
            return _paragraphs(self._method_docstring())[0].rstrip(".") or None
        nouns = self._noun().replace("_", " ")
        return template.format(nouns=nouns, noun=nouns.removesuffix("s"))

    def get_extensions(self) -> Schema:
        """The view's own example values, taken out again once the document is complete."""
        return {VALUES: dict(getattr(self.view, "example", {}))}

    view: Any

    def get_description(self) -> str:  # type: ignore[override]
        """The rest of the method's docstring, then the view's, then the permission."""
        required = self.view.required_permission(self.method)
        permission = f"Requires `{required}`." if required else "Requires any valid key."
        parts = [*_paragraphs(self._method_docstring())[1:], *_paragraphs(type(self.view).__doc__ or ""), permission]
        return "\n\n".join(parts)

    def get_auth(self) -> list[dict[str, Any]]:
        """Always a bearer key."""
        return [{"apiKey": []}]

    def _noun(self) -> str:
        if getattr(self.view, "noun", ""):
            return str(self.view.noun)
        parts = [part for part in self.path.split("/") if part and not part.startswith("{")]
        collection = next(part for part in parts if part not in {"api", "v1"})
        return collection.replace("-", "_")

    def _action(self) -> str:
        return self.view.action or self.method.lower()

    def _method_docstring(self) -> str:
        method = getattr(self.view, self._action(), None)
        return inspect.getdoc(method) or ""

    # -- parameters ------------------------------------------------------------------------------

    def _get_parameters(self) -> list[Schema]:
        parameters = [parameter for parameter in super()._get_parameters() if parameter["in"] == "path"]
        known = sorted(self.view.known_parameters())
        parameters += [{"name": name, "in": "query", "schema": self._query_schema(name)} for name in known]
        if self.method == "POST":
            schema = {"type": "string", "maxLength": KEY_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"}
            parameters.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
        if self._action() in CONDITIONAL_ACTIONS:
            parameters.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}})
        parameters.append({"name": "X-Workspace-ID", "in": "header", "schema": {"type": "string", "format": "uuid"}})
        return parameters

    def _query_schema(self, name: str) -> Schema:
        if name in self.view.query_parameters:
            return dict(self.view.query_parameters[name])
        filters = self.view.filterset_class.base_filters if self.view.filterset_class else {}
        return _filter_schema(filters[name]) if name in filters else dict(_PAGING[name])

    # -- bodies ----------------------------------------------------------------------------------

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:  # noqa: FBT001, FBT002
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        written = getattr(field, "written", None)
        return {**schema, "enum": list(written)} if direction == "request" and written and "enum" in schema else schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)
        if direction == "request":
            for name in getattr(serializer, "answered_only", ()):
                schema["properties"].pop(name, None)
        return schema

    def _get_request_body(self, direction: Any = "request") -> Any:
        """Also for DELETE, where an action documents a body: drf-spectacular itself leaves those out."""
        method, self.method = self.method, "POST" if self._action() == "batch_destroy" else self.method
        try:
            return super()._get_request_body(direction)
        finally:
            self.method = method

    def _get_request_for_media_type(self, serializer: Any, direction: str = "request") -> tuple[Schema | None, bool]:
        if self._action() in {"update", "batch_update"} and hasattr(serializer, "partial"):
            serializer.partial = True
        schema, required = super()._get_request_for_media_type(serializer, direction)
        if schema is None or COMPLETE in schema:
            return _unmarked(schema), required
        return _request_schema(self._action(), schema), True

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        responses = super()._get_response_bodies(direction)
        for code, response in responses.items():
            response["description"] = response.get("description") or _DESCRIPTIONS.get(code, "The answer.")
            for media_type, content in response.get("content", {}).items():
                if media_type == "application/json" and code.startswith("2"):
                    content["schema"] = self._enveloped(content["schema"])
        if self._action() == "upsert":
            responses["201"] = {**responses["200"], "description": _DESCRIPTIONS["201"]}
        return {**responses, **self._problems()}

    def get_response_serializers(self) -> Any:
        """201 for what creates, 200 for everything else."""
        serializer: Any = super().get_response_serializers()
        if isinstance(serializer, dict):
            return serializer
        return {"201" if self._action() == "create" else "200": serializer}

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self._action() == "list" or getattr(serializer, "many", False)

    def _is_create_operation(self) -> bool:
        return self._action() == "create"

    def _enveloped(self, schema: Schema) -> Schema:
        if COMPLETE in schema:
            return _unmarked(schema) or {}
        members = {"data": schema, **getattr(self.view, "envelope_members", {})}
        if self._action() in _BATCH_ACTIONS:
            return _unmarked(batch_answer(_closed(members))) or {}
        if self._action() in {"list", *self.view.paged_actions}:
            style = "PageMeta" if "page" in self.view.paging.parameters else "CursorMeta"
            members["meta"] = {"$ref": f"#/components/schemas/{style}"}
        return _closed(members)

    def _problems(self) -> Schema:
        codes = {*_ALWAYS}
        if "{" in self.path or self._action() == "upsert":
            codes |= {*_WITH_ID}
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            codes |= {*_WITH_BODY}
        if self._action() in CONDITIONAL_ACTIONS:
            codes.add(412)
        codes |= {*getattr(self.view, "further_problems", ())}
        content = {"application/problem+json": {"schema": _PROBLEM_REF}}
        return {str(code): {"description": _DESCRIPTIONS[str(code)], "content": content} for code in sorted(codes)}


_SUMMARIES = {
    "list": "List {nouns}",
    "retrieve": "Retrieve one {noun}",
    "create": "Create one {noun}",
    "update": "Update one {noun}",
    "destroy": "Archive one {noun}",
    "upsert": "Upsert one {noun}",
    "batch_create": "Create {nouns} in batch",
    "batch_update": "Update {nouns} in batch",
    "batch_upsert": "Upsert {nouns} in batch",
    "batch_destroy": "Archive {nouns} in batch",
}
_DESCRIPTIONS = {
    "200": "Done.",
    "201": "Created.",
    "400": "Cannot be read.",
    "401": "No valid API key.",
    "403": "The key may not do this; `required_permission` names what it lacks.",
    "404": "Missing, or another workspace's.",
    "409": "Conflicts with the current state.",
    "411": "No Content-Length.",
    "412": "Changed since the ETag was read.",
    "413": "Too large.",
    "414": "The address is too long.",
    "415": "Not a supported media type.",
    "422": "Readable but wrong; `errors` names each place.",
    "429": "Too many requests; `Retry-After` says how long to wait.",
    "503": "Temporarily unavailable; try again after `Retry-After` seconds.",
}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _unmarked(schema: Schema | None) -> Schema | None:
    return None if schema is None else {key: value for key, value in schema.items() if key != COMPLETE}


def _request_schema(action: str, schema: Schema) -> Schema:
    """What each action takes, given the schema of a record."""
    operation = {"type": "string", "enum": [operation.value for operation in Operation]}
    keys = {"external_id": {"type": "string", "minLength": 1, "maxLength": 200}, "operation": operation}
    upsert = {"allOf": [schema, _closed(keys)]}
    named = {"allOf": [schema, _closed({"id": {"type": "string", "format": "uuid"}})]}
    shapes = {
        "upsert": upsert,
        "batch_upsert": batch_request(upsert, 100),
        "batch_create": batch_request(schema, 100),
        "batch_update": batch_request(named, 100),
    }
    return shapes.get(action, schema)


def _filter_schema(query_filter: Any) -> Schema:
    match query_filter:
        case ChoiceFilter():
            return {"type": "string", "enum": [value for value, _ in query_filter.extra["choices"]]}
        case BooleanFilter():
            return {"type": "string", "enum": ["true", "false"]}
        case ReferenceFilter():
            return {"type": "string", "format": "uuid"}
        case TimeFilter():
            return {"type": "string", "format": "date-time"}
        case DateFilter():
            return {"type": "string", "format": "date"}
    return {"type": "string", "minLength": 1, "maxLength": 300}


def _paragraphs(docstring: str) -> list[str]:
    cleaned = inspect.cleandoc(docstring)
    return [" ".join(paragraph.split()) for paragraph in cleaned.split("\n\n")] if cleaned else [""]


def _ordered(methods: Schema) -> Schema:
    """Always in the same order, whatever order a set of methods has today."""
    return {method: methods[method] for method in ("get", "post", "put", "patch", "delete") if method in methods}


SURFACES: Mapping[str, tuple[str, str, str]] = {
    "v1": ("alliantra.urls.v1", "Alliantra partner intelligence API", "Partners, events, reports and signals."),
    "api_v1": ("alliantra.urls.api_v1", "Alliantra payout API", "Payees, products, revenues, rules and runs."),
}
"""Surface → URLconf, title, description."""


_generating = Lock()
"""drf-spectacular loads its extensions lazily and not safely: two threads at once break each other."""


def surface_document(surface: str) -> Schema:
    """The OpenAPI document of `v1` or `api_v1`. Raises KeyError for another name."""
    with _generating:
        return _generated(surface)


@cache
def _generated(surface: str) -> Schema:
    urlconf, title, description = SURFACES[surface]
    document: Schema = SchemaGenerator(urlconf=urlconf).get_schema(public=True)
    document["info"] = {"title": title, "version": "1.0.0", "description": description}
    document["servers"] = [{"url": "/"}]
    document["paths"] = {path: _ordered(methods) for path, methods in document["paths"].items()}
    components = document.setdefault("components", {})
    for kind, entries in _COMPONENTS.items():
        components[kind] = {**components.get(kind, {}), **entries}
    close_requests(document)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    add_examples(document, {operation["operationId"]: operation.pop(VALUES, {}) for operation in operations})
    return document
