"""What a rule's scope may say: checked against the workspace and brought into the stored form."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.workspaces.models import Workspace, WorkspaceModel
from partners.models import Partner
from revenues.models import Product, RevenueSource, RevenueType
from rules.engine.conditions import LISTS, ORDERINGS, SEARCHES, Operator
from rules.engine.inputs import DIMENSIONS

VALUES_LIMIT = 1_000
CONDITIONS_LIMIT = 50
KEY_LENGTH = 40
TEXT_LENGTH = 500
NUMBER_DIGITS = 40
REFERENCES: Mapping[str, type[WorkspaceModel]] = {
    "revenue_source_ids": RevenueSource,
    "product_ids": Product,
    "partner_ids": Partner,
}
TEXT_LENGTHS = {"product_categories": 60, "product_tags": 60, "territories": 100, "types": 12}


def normalised_scope(scope: Any, workspace: Workspace) -> dict[str, Any]:
    """`scope` as it is stored: the dimensions that are set, ids in their usual form, values as sent.

    Raises Invalid with a pointer per wrong place. An empty list is refused: it could mean all rows
    or none, and money would follow.
    """
    return _Reading(workspace).scope(scope)


def known_ids(model: type[WorkspaceModel], values: Sequence[Any], workspace: Workspace, *, pointer: str) -> list[UUID]:
    """`values` as ids of rows of the workspace, each once. Raises Invalid with a pointer per wrong place."""
    reading = _Reading(workspace)
    texts = reading.texts(pointer, [str(value) for value in values], length=100)
    ids = reading.references(pointer, model, texts)
    if reading.problems:
        raise Invalid(reading.problems)
    return [UUID(text) for text in ids]


class _Reading:
    """One reading of one scope; collects every wrong place."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.problems: list[FieldProblem] = []

    def scope(self, scope: Any) -> dict[str, Any]:
        """The whole scope."""
        if not isinstance(scope, dict):
            raise Invalid.field("/scope", "invalid_type", "Expected an object.")
        self._refuse_strangers("/scope", scope, (*DIMENSIONS, "metadata"))
        read: dict[str, Any] = {
            name: self._values(f"/scope/{name}", name, scope[name]) for name in DIMENSIONS if name in scope
        }
        if "metadata" in scope:
            read["metadata"] = self._conditions("/scope/metadata", scope["metadata"])
        if self.problems:
            raise Invalid(self.problems)
        return read

    def _values(self, pointer: str, dimension: str, values: Any) -> list[str]:
        texts = self.texts(pointer, values, TEXT_LENGTHS.get(dimension, 100))
        if dimension in REFERENCES:
            return self.references(pointer, REFERENCES[dimension], texts)
        if dimension == "product_categories":
            categories = {option["name"] for option in self.workspace.category_options}
            self._refuse_others(pointer, texts, categories, "does_not_exist")
        if dimension == "types":
            self._refuse_others(pointer, texts, set(RevenueType.values), "invalid_choice")
        return texts

    def texts(self, pointer: str, values: Any, length: int) -> list[str]:
        """Different texts, none empty, each at most `length` long."""
        texts = []
        for place, value in self._listed(pointer, values, VALUES_LIMIT):
            if not isinstance(value, str):
                self._refuse(place, "invalid_type", "Expected a string.")
            elif not value:
                self._refuse(place, "blank")
            elif len(value) > length:
                self._refuse(place, "too_long")
            elif value in texts:
                self._refuse(place, "duplicate")
            texts.append(value)
        return texts

    def references(self, pointer: str, model: type[WorkspaceModel], texts: list[str]) -> list[str]:
        """Ids of rows of the workspace; a foreign one reads as missing."""
        identities = [_identity(text) for text in texts]
        known = [identity for identity in identities if identity is not None]
        rows = model._default_manager.filter(workspace=self.workspace, pk__in=known)
        found = set(rows.values_list("pk", flat=True))
        for index, identity in enumerate(identities):
            if identity not in found:
                self._refuse(f"{pointer}/{index}", "does_not_exist")
        return [str(identity) for identity in known]

    def _refuse_others(self, pointer: str, texts: list[str], known: set[str], code: str) -> None:
        for index, text in enumerate(texts):
            if text not in known:
                self._refuse(f"{pointer}/{index}", code, f"Expected one of {', '.join(sorted(known)) or 'none'}.")

    def _conditions(self, pointer: str, conditions: Any) -> list[dict[str, Any]]:
        return [self._condition(place, each) for place, each in self._listed(pointer, conditions, CONDITIONS_LIMIT)]

    def _condition(self, pointer: str, condition: Any) -> dict[str, Any]:
        names = ("key", "operator", "value")
        if not isinstance(condition, dict):
            self._refuse(pointer, "invalid_type", "Expected an object.")
            return {}
        self._refuse_strangers(pointer, condition, names)
        missing = [name for name in names if name not in condition]
        for name in missing:
            self._refuse(f"{pointer}/{name}", "required")
        if missing:
            return {}
        key, operator = condition["key"], condition["operator"]
        if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH:
            self._refuse(f"{pointer}/key", "invalid", f"Expected a text of 1 to {KEY_LENGTH} characters.")
        if not isinstance(operator, str) or operator not in set(Operator):
            self._refuse(f"{pointer}/operator", "invalid_choice", f"Expected one of {', '.join(Operator)}.")
            return {}
        value = self._compared(f"{pointer}/value", Operator(operator), condition["value"])
        return {"key": key, "operator": operator, "value": value}

    def _compared(self, pointer: str, operator: Operator, value: Any) -> Any:
        """What a condition compares with, of a type that its operator can compare."""
        if operator in LISTS:
            return [self._scalar(place, each) for place, each in self._listed(pointer, value, VALUES_LIMIT)]
        if operator is Operator.EXISTS and not isinstance(value, bool):
            self._refuse(pointer, "invalid_type", "Expected true or false.")
        elif operator in ORDERINGS and isinstance(value, bool):
            self._refuse(pointer, "invalid_type", "Expected a number or a string.")
        elif operator in SEARCHES and not (isinstance(value, str) and value):
            self._refuse(pointer, "invalid_type", "Expected a string that is not empty.")
        return self._scalar(pointer, value)

    def _scalar(self, pointer: str, value: Any) -> Any:
        if isinstance(value, str) and len(value) > TEXT_LENGTH:
            self._refuse(pointer, "too_long")
        elif isinstance(value, Decimal):
            return self._number(pointer, value)
        elif not isinstance(value, str | bool | int):
            self._refuse(pointer, "invalid_type", "Expected a string, a number or a boolean.")
        return value

    def _number(self, pointer: str, value: Decimal) -> Decimal | int:
        """Without exponent, as PostgreSQL stores it: 3.0 and 3E+2 become 3 and 300."""
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or not -NUMBER_DIGITS <= exponent <= NUMBER_DIGITS:
            self._refuse(pointer, "out_of_range")
            return 0
        return int(value) if value == value.to_integral_value() else Decimal(f"{value.normalize():f}")

    def _listed(self, pointer: str, values: Any, limit: int) -> Iterator[tuple[str, Any]]:
        if not isinstance(values, list):
            self._refuse(pointer, "invalid_type", "Expected a list.")
        elif not values:
            self._refuse(pointer, "too_short", "An empty list matches nothing: leave it out, or name a value.")
        elif len(values) > limit:
            self._refuse(pointer, "too_long", f"At most {limit:,} values.")
        else:
            yield from ((f"{pointer}/{index}", value) for index, value in enumerate(values))

    def _refuse_strangers(self, pointer: str, members: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in members:
            if name not in known:
                self._refuse(f"{pointer}/{_escaped(name)}", "unknown_field", f"Known: {', '.join(known)}.")

    def _refuse(self, pointer: str, code: str, detail: str = "") -> None:
        self.problems += Invalid.field(pointer, code, detail).errors


def _identity(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _escaped(name: str) -> str:
    """A member's name inside an RFC 6901 pointer."""
    return name.replace("~", "~0").replace("/", "~1")
