"""What an import template says of an export's columns, and which template fits a header; pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

CORE: Final = ("external_revenue_id", "transaction_date", "amount", "currency")
"""Fields without which a row is no revenue row."""
OPTIONAL: Final = (
    "revenue_type",
    "external_product_id",
    "payee_hint",
    "partner_external_id",
    "territory",
    "customer_id",
    "original_external_id",
    "reason",
)
FIELDS: Final = (*CORE, *OPTIONAL)
METADATA: Final = "metadata_"
"""What a field begins with whose values become the rows' metadata under the rest of its name."""
_NOT_WORDS: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows that are revenue, by the words in one column; what is in neither list is kept, or left out with `only`."""

    columns: tuple[str, ...]
    kept: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    only: bool = False

    def keeps(self, word: str) -> bool:
        """Whether a row with this word in the column is revenue."""
        plain = normalised(word)
        return plain in self.kept if self.only else plain not in self.left_out


@dataclass(frozen=True, slots=True)
class Template:
    """One export: what its columns are called and how its values are meant.

    Names of columns are compared without case, and with everything but letters and digits as one blank.
    Of several names for a field the first that the file has is taken.
    """

    key: str
    name: str
    version: int
    expected_source_type: str
    aliases: Mapping[str, tuple[str, ...]]
    signature: tuple[str, ...] = ()
    """Names that a header must have for the template to be recognised."""
    source: str = ""
    """Where the columns are described, and how fully."""
    is_complete: bool = True
    """Whether the export's columns are publicly described; else what the template fills in wants a look."""
    timezone: str | None = None
    """Zone of times without an offset; None for the workspace's."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Word for the revenue type → sale, refund or adjustment; other words stand for themselves."""
    choices: tuple[Choice, ...] = ()
    zero_columns: tuple[str, ...] = ()
    """Columns that must be empty or zero: what they say cannot be dated from this export."""
    zero_reason: str = ""
    whole_numbers_are_minor_units: bool = False
    names_sale_on_every_row: bool = False
    """Whether the sale that a refund belongs to is named on other rows too, where it means nothing."""
    sample: tuple[tuple[str, ...], ...] = ()
    """Header and rows of the sample file."""

    @property
    def sample_filename(self) -> str:
        """Name of the sample file."""
        return f"{self.key}-sample.csv"

    def matched(self, columns: Iterable[str]) -> dict[str, str]:
        """Field → the column of a file that this template takes for it."""
        by_name: dict[str, str] = {}
        for column in columns:
            by_name.setdefault(normalised(column), column)
        found = {}
        for target, names in self.aliases.items():
            named = next((by_name[normalised(name)] for name in names if normalised(name) in by_name), None)
            if named is not None:
                found[target] = named
        taken = set(found.values())
        return found | {
            field_name: column
            for column in columns
            if column not in taken and (field_name := metadata_field(column)) is not None
        }

    def fits(self, columns: Iterable[str]) -> bool:
        """Whether a header has all that this export is known by."""
        names = {normalised(column) for column in columns}
        return bool(self.signature) and all(normalised(name) in names for name in self.signature)

    def described(self) -> dict[str, Any]:
        """What an import keeps of its template."""
        return {
            "key": self.key,
            "name": self.name,
            "version": self.version,
            "expected_source_type": self.expected_source_type,
            "required_fields": list(CORE),
            "optional_fields": [name for name in OPTIONAL if name in self.aliases] + [f"{METADATA}*"],
            "sample_filename": self.sample_filename,
        }


def normalised(name: str) -> str:
    """A column's name or a value's word without case and punctuation: `Created (UTC)` → `created_utc`."""
    return _NOT_WORDS.sub("_", name.lower()).strip("_")


def metadata_field(column: str) -> str | None:
    """`metadata_plan` and `metadata[plan]` are metadata under `plan`, as is Stripe's `plan (metadata)`."""
    name = column.strip()
    for pattern in (r"metadata[_.](.+)", r"metadata\[(.+)\]", r"(.+) \(metadata\)"):
        if (match := re.fullmatch(pattern, name, re.IGNORECASE)) is not None:
            return f"{METADATA}{match[1].strip()}"
    return None


def detect(columns: Sequence[str], templates: Iterable[Template], default: Template) -> Template:
    """The template whose signature the header has; of several the longest; else `default`."""
    fitting = [template for template in templates if template.fits(columns)]
    return max(fitting, key=lambda template: len(template.signature), default=default)
