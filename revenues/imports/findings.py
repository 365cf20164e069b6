"""What concerns an imported file as a whole: what keeps it from being imported, and what people should know."""

from typing import Final

from revenues.imports.conversion import ANY_CURRENCY, Reading
from revenues.imports.mapping import Mapped, columns_of, unmapped
from revenues.imports.survey import Survey
from revenues.imports.tables import Table
from revenues.imports.templates import CORE, Template
from revenues.models import ImportBatch, ImportStatus

IDENTIFIERS_COUNTED: Final = 1_000
Finding = dict[str, str]


def findings_of(table: Table, template: Template, mapping: Mapped, survey: Survey, reading: Reading) -> list[Finding]:
    """What header and survey show; an `error` keeps the file from being imported."""
    return [
        *_missing(table, template, mapping, reading),
        *_nothing(survey),
        *_mixed(survey, reading),
        *_incomplete(template),
    ]


def same_file(batch: ImportBatch) -> list[Finding]:
    """Whether the very file was imported before: not wrong, since no row is taken in twice, but hardly meant."""
    same = ImportBatch.objects.in_workspace(batch.workspace).filter(
        file_digest=batch.file_digest, status=ImportStatus.COMPLETED
    )
    earlier = same.exclude(pk=batch.pk).order_by("number").first()
    return [] if earlier is None else [_finding("warning", "same_file", f"The very file was {earlier} already.")]


def unmapped_products(identifiers: set[str]) -> Finding:
    """Rows whose product stands for none of ours are taken in, and found in the queue of unmapped identifiers."""
    count = f"{len(identifiers):,}" if len(identifiers) < IDENTIFIERS_COUNTED else f"at least {IDENTIFIERS_COUNTED:,}"
    detail = f"Products in the file that match none of ours: {count}, such as {min(identifiers)!r}. Map them later."
    return _finding("warning", "unmapped_products", detail, field="external_product_id")


def _finding(severity: str, code: str, detail: str, *, field: str = "", column: str = "") -> Finding:
    """One thing to know of a file; an `error` keeps it from being imported."""
    return {"severity": severity, "code": code, "field": field, "column": column, "detail": detail}


def _missing(table: Table, template: Template, mapping: Mapped, reading: Reading) -> list[Finding]:
    """Fields that every row needs and that no column gives, or that two columns of one name would."""
    lacking = [name for name in unmapped(mapping) if name != "currency" or reading.default_currency is None]
    twice = {target: column for target, column in template.matched(table.columns).items() if column in table.repeated}
    found = []
    for name in CORE:
        if name in lacking and name in twice:
            detail = f"Two columns are called {twice[name]!r}: say in the mapping which of them is the {_words(name)}."
            found.append(_finding("error", "duplicate_column", detail, field=name, column=twice[name]))
        elif name in lacking:
            hint = " Map a column to it, or say the currency of all rows." if name == "currency" else ""
            detail = f"No column of the file is the {_words(name)}.{hint}"
            found.append(_finding("error", "missing_column", detail, field=name))
    used = {column for source in mapping.values() for column in columns_of(source)}
    return found + [
        _finding("warning", "duplicate_column", f"Two columns are called {name!r}.", column=name)
        for name in sorted(table.repeated - used - set(twice.values()))
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _nothing(survey: Survey) -> list[Finding]:
    return [] if survey.rows else [_finding("error", "no_rows", "Below its header the file has no rows.")]


def _mixed(survey: Survey, reading: Reading) -> list[Finding]:
    if len(survey.currencies) < 2:
        return []
    counted = ", ".join(f"{code} {count:,}" for code, count in survey.currencies.most_common())
    what = "all are imported" if reading.currency == ANY_CURRENCY else f"only {reading.currency} is imported"
    return [_finding("warning", "mixed_currencies", f"Rows per currency: {counted}; {what}.", field="currency")]


def _incomplete(template: Template) -> list[Finding]:
    if template.is_complete:
        return []
    detail = f"The columns of {template.name} are not fully described in public: check the mapping."
    return [_finding("warning", "template_incomplete", detail)]
