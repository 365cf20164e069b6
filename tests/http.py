"""An API client whose every answer is checked against the OpenAPI document of its surface."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.test import Client
from django.urls import Resolver404, resolve
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from alliantra.api.renderers import encode
from alliantra.api.schema import surface_document


@dataclass
class ApiClient:
    """Calls the API in this process as one key."""

    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    django: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.call("GET", path, headers=headers)

    def post(self, path: str, document: Any = None, **headers: str) -> Any:
        """POST `document` as JSON; without one, an empty body."""
        return self.call("POST", path, document, headers=headers)

    def put(self, path: str, document: Any = None, **headers: str) -> Any:
        """PUT `document` as JSON."""
        return self.call("PUT", path, document, headers=headers)

    def patch(self, path: str, document: Any = None, **headers: str) -> Any:
        """PATCH `document` as JSON."""
        return self.call("PATCH", path, document, headers=headers)

    def delete(self, path: str, document: Any = None, **headers: str) -> Any:
        """DELETE, with `document` as JSON if given."""
        return self.call("DELETE", path, document, headers=headers)

    def send(self, path: str, body: bytes, content_type: str = "application/json", method: str = "POST") -> Any:
        """Raw bytes."""
        return self.call(method, path, body=body, content_type=content_type)

    def call(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The response, after its body was found to fit the schema."""
        payload = body if body is not None else b"" if document is None else encode(document)
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        authorization = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        response = self.django.generic(
            method, path, payload, content_type=content_type, headers={**authorization, **self.headers, **sent}
        )
        check_response(method, path, response)
        return response


def check_response(method: str, path: str, response: Any) -> None:
    """Assert that a response of either surface fits its OpenAPI document."""
    operation = find_operation(method, path)
    if operation is None:
        return
    surface, described = operation
    status = str(response.status_code)
    assert status in described["responses"], f"{method} {path} answered {status}, which its document does not list"
    if status == "204":
        assert not response.content, f"{method} {path} answered 204 with a body"
        return
    content = described["responses"][status].get("content", {})
    media_type = response.headers.get("Content-Type", "").split(";")[0]
    assert media_type in content, f"{method} {path} {status} answered {media_type}, documented: {list(content)}"
    if "schema" in content[media_type] and method != "HEAD" and media_type.endswith("json"):
        errors = list(validator(surface, content[media_type]["schema"]).iter_errors(json.loads(response.content)))
        assert not errors, f"{method} {path} {status}: {errors[0].message} at {errors[0].json_path}"


def find_operation(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """Surface and operation of a documented path; None for what no document covers."""
    address = path.split("?", maxsplit=1)[0]
    surface = "api_v1" if address.startswith("/api/") else "v1" if address.startswith("/v1/") else None
    if surface is None:
        return None
    try:
        route = "/" + re.sub(r"<[a-z]+:([a-z_]+)>", r"{\1}", resolve(address).route)
    except Resolver404:
        return None
    looked_up = "get" if method == "HEAD" else method.lower()
    found = surface_document(surface)["paths"].get(route, {}).get(looked_up)
    return (surface, found) if found else None


@cache
def _registry(surface: str) -> Any:
    document = json.loads(encode(surface_document(surface)))
    return Registry().with_resource("urn:surface", Resource.from_contents(document, DRAFT202012))


def validator(surface: str, schema: dict[str, Any]) -> Any:
    """JSON Schema validator of a schema inside a surface's document."""
    text = json.dumps(json.loads(encode(schema))).replace('"#/components', '"urn:surface#/components')
    absolute = json.loads(text)
    return validator_for(absolute, default=Draft202012Validator)(
        absolute, registry=_registry(surface), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
