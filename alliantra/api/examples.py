"""An example for every body, made from its schema, so that none can contradict it."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

SAMPLES: Mapping[str, Any] = {
    "uuid": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f70",
    "date-time": "2026-05-31T10:00:00+00:00",
    "date": "2026-05-31",
    "email": "payouts@northwind.example",
    "uri-reference": "/docs/errors/invalid",
}
"""Format → value."""
_DEPTH = 12


def add_examples(document: dict[str, Any], values_of: Mapping[str, Schema]) -> None:
    """Give every JSON body of `document` an example. `values_of` holds each operation's own values by field name."""
    schemas = document["components"]["schemas"]
    for operation in _operations(document):
        values = values_of.get(operation["operationId"], {})
        for content in _bodies(operation):
            if "example" not in content and "examples" not in content:
                content["example"] = example_of(content["schema"], schemas, values)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _bodies(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """JSON contents of the request and of the answers that are no refusals."""
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for code, answer in operation["responses"].items() if code.startswith("2")]
    for content in contents:
        if "application/json" in content:
            yield content["application/json"]


def example_of(schema: Schema, schemas: Mapping[str, Schema], values: Schema, name: str = "", depth: int = 0) -> Any:
    """A value that fits `schema`. Fields named in `values` take theirs; `schemas` are the document's components."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, values, name, depth)
    if name in values:
        return values[name]
    for key in ("example", "default", "const"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("oneOf", "anyOf"):
        if schema.get(key):
            return example_of(schema[key][0], schemas, values, name, depth)
    if "allOf" in schema:
        return _merged(schema["allOf"], schemas, values, name, depth)
    return _by_type(schema, schemas, values, name, depth)


def _merged(parts: list[Schema], schemas: Mapping[str, Schema], values: Schema, name: str, depth: int) -> Any:
    examples = [example_of(part, schemas, values, name, depth) for part in parts]
    if all(isinstance(example, dict) for example in examples):
        return {key: value for example in examples for key, value in example.items()}
    return examples[0]


def _by_type(schema: Schema, schemas: Mapping[str, Schema], values: Schema, name: str, depth: int) -> Any:
    kinds = schema.get("type", "object")
    kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
    match kind:
        case "object":
            properties = schema.get("properties", {}) if depth < _DEPTH else {}
            return {
                inner: example_of(properties[inner], schemas, {} if inner == "meta" else values, inner, depth + 1)
                for inner in properties
                if not properties[inner].get("writeOnly")
            }
        case "array":
            return [example_of(schema.get("items", {}), schemas, values, "", depth + 1)]
        case "string":
            return SAMPLES.get(schema.get("format", ""), name.replace("_", " ") or "text")
        case "integer":
            return max(1, schema.get("minimum", 1))
        case "number":
            return 20
        case "boolean":
            return False
    return None
