"""Base of every serializer: shape only, and nothing sent that is not documented."""

from typing import Any, ClassVar

from rest_framework import serializers

from alliantra.errors import FIELD_CODES


class StrictSerializer(serializers.Serializer):
    """Refuses unknown and read-only fields; `context["workspace"]` resolves references."""

    default_error_messages = {"invalid": "Expected an object."}
    answered_only: ClassVar[frozenset[str]] = frozenset()
    """Fields that are never sent, and answered only where there is something to answer; others are `read_only`."""

    def to_internal_value(self, data: Any) -> Any:
        """Parsed fields; every wrong place at once."""
        if not isinstance(data, dict):
            raise serializers.ValidationError({"non_field_errors": ["Expected an object."]}, code="invalid_type")
        errors = {name: self._stranger(name) for name in data if self._is_refused(name)}
        try:
            values = super().to_internal_value({name: value for name, value in data.items() if name not in errors})
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **errors}) from error  # type: ignore[dict-item]
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _is_refused(self, name: str) -> bool:
        return name not in self.fields or self.is_read_only(name)

    def is_read_only(self, name: str) -> bool:
        """Whether the server sets a known field."""
        return name in self.answered_only or bool(self.fields[name].read_only)

    def _stranger(self, name: str) -> list[serializers.ErrorDetail]:
        code = "read_only_field" if name in self.fields else "unknown_field"
        return [serializers.ErrorDetail(FIELD_CODES[code], code=code)]
