"""What an import of partners keeps to be shown: the first that it makes and changes, and values that it refused."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from partners.upserts import Landed

SHOWN: Final = 50
"""How many of the partners that an import makes, and of those that it changes, are kept."""
TEXT_SHOWN: Final = 100


def shown(landed: Landed, row: int) -> dict[str, Any]:
    """What one record did, or would do: `changes` holds field, before and after. No id before the partner is there."""
    partner = landed.partner
    return {
        "row": row,
        "id": None if partner._state.adding else str(partner.pk),
        "external_id": partner.external_id,
        "name": partner.name,
        "outcome": landed.outcome,
        "changes": [[name, _brief(before), _brief(after)] for name, before, after in _flat(landed.changes)],
    }


def value_at(item: Any, pointer: str) -> str:
    """What stands in a record at a place, as text."""
    value = item.get(pointer.removeprefix("/")) if isinstance(item, dict) else None
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)
    return str(_brief(text.replace("\x00", "")))


def _flat(changes: Mapping[str, tuple[Any, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Field, before and after; of metadata the keys that differ."""
    for name, (before, after) in changes.items():
        if name != "metadata":
            yield name, before, after
            continue
        old = before or {}
        for key in [*old, *(key for key in after if key not in old)]:
            if old.get(key) != after.get(key):
                yield f"metadata_{key}", old.get(key), after.get(key)


def _brief(value: Any) -> Any:
    """A value without the rest of a long text."""
    is_long = isinstance(value, str) and len(value) > TEXT_SHOWN
    return f"{value[: TEXT_SHOWN - 1]}…" if is_long else value
