"""Request bodies in an OpenAPI document, closed: it says that members which it does not name are refused."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]
_PATCHED, _REQUEST = "Patched", "Request"


def close_requests(document: Schema) -> None:
    """Close every object with named members that a request body of the document consists of."""
    closer = _Closer(document["components"]["schemas"])
    for content in _contents(document):
        content["schema"] = closer.closed(content["schema"])


def _contents(document: Mapping[str, Any]) -> Iterator[Schema]:
    for methods in document["paths"].values():
        for operation in methods.values():
            yield from operation.get("requestBody", {}).get("content", {}).values()


class _Closer:
    def __init__(self, components: Schema) -> None:
        self._components, self._seen = components, set[str]()

    def closed(self, schema: Schema) -> Schema:
        """The schema, closed wherever it names members; components that it refers to are closed in place."""
        if "$ref" in schema:
            self._close_component(_name_of(schema))
            return schema
        if "allOf" in schema and "$ref" in schema["allOf"][0]:
            return self._joined(*schema["allOf"])
        closed = dict(schema)
        for key in ("allOf", "anyOf", "oneOf"):
            if key in closed:
                closed[key] = [self.closed(option) for option in closed[key]]
        for key in ("items", "additionalProperties"):
            if isinstance(closed.get(key), dict):
                closed[key] = self.closed(closed[key])
        if "properties" in closed:
            closed["properties"] = {name: self.closed(each) for name, each in closed["properties"].items()}
            closed.setdefault("additionalProperties", False)
        return closed

    def _close_component(self, name: str) -> None:
        if name not in self._seen:
            self._seen.add(name)
            self._components[name] = self.closed(self._components[name])

    def _joined(self, base: Schema, *further: Schema) -> Schema:
        """A component with members added, as one more component: closed parts would refuse one another's members."""
        added: Schema = {}
        for part in further:
            added |= part["properties"]
        kind = "Upsert" if "operation" in added else "Identified"
        name = f"{_name_of(base).removeprefix(_PATCHED).removesuffix(_REQUEST)}{kind}{_REQUEST}"
        whole = self._components[_name_of(base)]
        required = [*whole.get("required", ()), *(each for part in further for each in part["required"])]
        joined = {"required": list(dict.fromkeys(required)), "properties": {**whole["properties"], **added}}
        self._components.setdefault(name, {**whole, **joined})
        reference = {"$ref": f"#/components/schemas/{name}"}
        return self.closed(reference)


def _name_of(reference: Schema) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name
