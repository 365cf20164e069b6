"""Evidence to take away: the close package of a locked run, and the dispute kit of one of its statements.

Each is a zip whose `manifest.json` carries the SHA-256 of every other file and the run's digest, written in pieces to
a temporary file: memory stays flat however many rows the run has. The same run gives the same bytes but for the audit
entries that were added since.
"""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from django.db.models import QuerySet

from alliantra.csv_text import write_rows
from alliantra.workspaces import audit
from alliantra.workspaces.models import AuditEntry
from revenues.models import RevenueEvent
from rules.explanations import explain_item
from rules.models import (
    CalculationException,
    CalculationItem,
    CalculationRun,
    ExceptionDecision,
    RuleVersion,
    Statement,
)
from rules.services.rules import SPOKEN
from rules.statement_documents import statement_document
from rules.statements.html import html_parts
from rules.statements.pdf import pdf
from rules.statements.table import csv_lines
from rules.verification import verify_run

CHUNK = 2_000
EXPLAINED_ITEMS = 1_000
"""Items of a dispute kit that are explained one by one; all are listed."""
ROW_COLUMNS = (
    "id",
    "source__name",
    "external_id",
    "occurred_at",
    "type",
    "amount",
    "currency",
    "partner__external_id",
    "product__external_id",
    "external_product_identifier",
    "territory",
    "original_external_id",
    "reason",
    "created_at",
)
ITEM_COLUMNS = (
    "id",
    "event_id",
    "event__external_id",
    "rule_version__rule_id",
    "rule_version__number",
    "allocation_index",
    "payee_id",
    "payee__external_id",
    "basis",
    "rate",
    "amount",
    "tie_break",
    "sale_id",
    "sale_run_id",
    "measured_from",
)
EXCEPTION_COLUMNS = ("id", "event_id", "event__external_id", "code", "amount")
ADJUSTMENT_COLUMNS = (
    "id",
    "kind",
    "rule_version__rule_id",
    "rule_version__number",
    "allocation_index",
    "payee_id",
    "payee__external_id",
    "window",
    "basis",
    "amount",
)
STATEMENT_COLUMNS = (
    "id",
    "number",
    "payee_id",
    "payee__external_id",
    "currency",
    "gross_basis",
    "opening_balance",
    "earnings",
    "clawbacks",
    "adjustments",
    "payments",
    "closing_balance",
)


class _Package:
    """A zip being written; every file counts into the manifest."""

    def __init__(self, run: CalculationRun) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)
        assert run.locked_at is not None
        self._date = run.locked_at.timetuple()[:6]
        self._digests: dict[str, str] = {}

    def add(self, name: str, parts: Iterable[bytes]) -> None:
        """One file, written as its parts come."""
        digest = hashlib.sha256()
        entry = zipfile.ZipInfo(name, self._date)
        entry.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(entry, "w", force_zip64=True) as target:
            for part in parts:
                digest.update(part)
                target.write(part)
        self._digests[name] = digest.hexdigest()

    def add_json(self, name: str, document: Any) -> None:
        """One document, for people and programs."""
        self.add(name, [json.dumps(audit.jsonable(document), indent=2, ensure_ascii=False).encode()])

    def add_table(self, name: str, columns: Sequence[str], rows: QuerySet[Any]) -> None:
        """One CSV file of a query, its columns named as in the API."""
        self.add(name, _table([_column(name) for name in columns], rows.values_list(*columns).iterator(CHUNK)))

    def finished(self, run: CalculationRun) -> IO[bytes]:
        """The zip, open at its beginning."""
        verified = verify_run(run)
        manifest = {
            "run_id": str(run.pk),
            "run_number": run.number,
            "digest": run.digest,
            "digest_holds": verified.holds,
            "sha256": self._digests,
        }
        self.add_json("manifest.json", manifest)
        self._zip.close()
        self._file.seek(0)
        return self._file


def close_package(run: CalculationRun) -> IO[bytes]:
    """Everything about a locked run: rows, items, exceptions, statements, rule versions, decisions, audit entries."""
    package = _Package(run)
    package.add_json("run.json", _run(run))
    package.add_table("rows.csv", ROW_COLUMNS, _rows(run).order_by("occurred_at", "id"))
    package.add_table("items.csv", ITEM_COLUMNS, run.items.order_by("id"))
    package.add_table("exceptions.csv", EXCEPTION_COLUMNS, run.exceptions.order_by("id"))
    package.add_table("adjustments.csv", ADJUSTMENT_COLUMNS, run.adjustments.order_by("id"))
    package.add_table("statements.csv", STATEMENT_COLUMNS, run.statements.order_by("number"))
    for statement in run.statements.select_related("run", "workspace").order_by("number").iterator(CHUNK):
        document = statement_document(statement)
        package.add(f"statements/{document.number}.html", (part.encode() for part in html_parts(document)))
    package.add_json("rule_versions.json", _versions(run, run.items.all()))
    package.add_json("decisions.json", _decisions(run))
    package.add_json("audit.json", _audit(run))
    return package.finished(run)


def dispute_kit(statement: Statement) -> IO[bytes]:
    """The same for one payee: its statement, rows and items, the rules behind them, and each item explained."""
    run = statement.run
    package = _Package(run)
    document = statement_document(statement)
    package.add_json("run.json", _run(run))
    package.add("statement.pdf", [pdf(document)])
    package.add("statement.html", (part.encode() for part in html_parts(document)))
    package.add("statement.csv", (part.encode() for part in csv_lines(document)))
    items = run.items.filter(payee=statement.payee_id)
    rows = RevenueEvent.objects.in_workspace(run.workspace).filter(pk__in=items.values("event"))
    package.add_table("rows.csv", ROW_COLUMNS, rows.order_by("occurred_at", "id"))
    package.add_table("items.csv", ITEM_COLUMNS, items.order_by("id"))
    adjustments = run.adjustments.filter(payee=statement.payee_id)
    package.add_table("adjustments.csv", ADJUSTMENT_COLUMNS, adjustments.order_by("id"))
    package.add_json("rule_versions.json", _versions(run, items))
    explained = items.select_related("event", "run", "workspace").order_by("id")[:EXPLAINED_ITEMS]
    package.add("explanations.json", _explanations(explained))
    package.add_json("audit.json", _audit(run))
    return package.finished(run)


def _rows(run: CalculationRun) -> QuerySet[RevenueEvent]:
    """Every ledger row of the run."""
    rows = RevenueEvent.objects.in_workspace(run.workspace)
    return rows.filter(pk__in=run.items.values("event").union(run.exceptions.values("event")))


def _run(run: CalculationRun) -> dict[str, Any]:
    return {
        **audit.snapshot(run),
        "workspace": {"name": run.workspace.name, "timezone": run.workspace.timezone},
        "created_at": run.created_at,
    }


def _versions(run: CalculationRun, items: QuerySet[CalculationItem]) -> list[dict[str, Any]]:
    used = items.order_by().values("rule_version").distinct()
    adjusted = run.adjustments.order_by().values("rule_version").distinct()
    versions = RuleVersion.objects.in_workspace(run.workspace).filter(pk__in=used.union(adjusted))
    return [
        {"id": version.pk, "rule_id": version.rule_id, "number": version.number, "saved_by": version.saved_by}
        | {"created_at": version.created_at}
        | {name: getattr(version, name) for name in SPOKEN}
        for version in versions.order_by("created_at", "id")
    ]


def _decisions(run: CalculationRun) -> list[dict[str, Any]]:
    rows = CalculationException.objects.in_workspace(run.workspace).filter(run=run)
    decisions = ExceptionDecision.objects.in_workspace(run.workspace).filter(event__in=rows.values("event"))
    return list(decisions.order_by("id").values("event_id", "kind", "reason", "decided_by", "created_at"))


def _audit(run: CalculationRun) -> list[dict[str, Any]]:
    """What was done with the run, and with the rules that it used."""
    rules = RuleVersion.objects.in_workspace(run.workspace).filter(pk__in=run.pinned["versions"])
    names = [str(run.pk), *(str(rule_id) for rule_id in rules.values_list("rule_id", flat=True))]
    entries = AuditEntry.objects.filter(workspace=run.workspace, object_id__in=names).order_by("created_at", "id")
    columns = ("created_at", "action", "actor_kind", "actor_name", "object_type", "object_id", "object_name")
    return list(entries.values(*columns, "before", "after"))


def _explanations(items: QuerySet[CalculationItem]) -> Iterator[bytes]:
    """One explanation per item, as a JSON array."""
    yield b"["
    for place, item in enumerate(items):
        explained = {"item_id": item.pk, "sentences": explain_item(item, item.workspace).sentences}
        yield (b",\n" if place else b"\n") + json.dumps(audit.jsonable(explained), ensure_ascii=False).encode()
    yield b"\n]"


def _column(lookup: str) -> str:
    """`event__external_id` → event_external_id; the ledger's rows are called revenues outside."""
    return lookup.replace("__", "_").replace("event_", "revenue_")


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """CSV, some thousand lines at a time."""
    text = io.StringIO()
    write_rows(text, [header])
    for place, row in enumerate(rows, 1):
        write_rows(text, [[audit.jsonable(cell) for cell in row]])
        if not place % CHUNK:
            yield text.getvalue().encode()
            text = io.StringIO()
    yield text.getvalue().encode()
