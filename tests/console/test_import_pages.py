"""Imports in the console: upload, preview, mapping, confirmation, receipt, and files to take away."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from revenues.imports import importing
from revenues.models import ImportBatch, ImportStatus, RevenueEvent, RevenueSource
from tests import factories
from tests.console.conftest import MemberFactory
from tests.console.test_writes import errors, table
from tests.imports.files import csv_bytes, row

NAMES = "admin:revenues_importbatch"
AS_SHOWN = {"template": "auto", "currency": "", "date_order": "", "decimal_separator": "", "timezone": ""}


def upload(browser: Client, content: bytes, name: str = "may.csv", **values: Any) -> Any:
    """The answer to the upload form."""
    source = RevenueSource.objects.get(workspace__slug="acme")
    form = {**AS_SHOWN, "file": SimpleUploadedFile(name, content), "source": str(source.pk), **values}
    return browser.post(reverse(f"{NAMES}_add"), form)


def uploaded(browser: Client, content: bytes, **values: Any) -> ImportBatch:
    """The import that an upload made."""
    answer = upload(browser, content, **values)
    batch = ImportBatch.objects.latest("number")
    assert (answer.status_code, answer["Location"]) == (302, reverse(f"{NAMES}_change", args=[batch.pk]))
    return batch


def page(name: str, batch: ImportBatch, *more: str) -> str:
    """Address of one of an import's pages."""
    return reverse(f"{NAMES}_{name}", args=[batch.pk, *more])


def mapped(*rows: dict[str, str], **values: str) -> dict[str, str]:
    """The mapping form; rows with a key are metadata."""
    fields, keys = [row for row in rows if "key" not in row], [row for row in rows if "key" in row]
    return {**AS_SHOWN, **table("mapping", *fields), **table("metadata", *keys), **values}


def test_a_file_is_uploaded_looked_at_confirmed_and_found_in_the_ledger(owner: Client, actor: Actor) -> None:
    batch = uploaded(owner, csv_bytes(row(1, "249.00"), row(2, "-49.00"), row(3, "x")))
    shown = owner.get(page("change", batch)).text
    for text in (
        "This is a preview",
        "Generic file",
        "external revenue id",
        "inv-1",
        "249.00",
        "amount",
        "Import these",
    ):
        assert text in shown, text
    assert owner.post(page("command", batch, "confirm"))["Location"] == page("change", batch)
    assert "loads itself again" in owner.get(page("change", batch)).text
    importing.sweep()
    receipt = owner.get(page("change", batch)).text
    assert "What it brought" in receipt
    assert "Import these" not in receipt
    ledger = reverse("admin:revenues_revenueevent_changelist")
    assert f"{ledger}?import_batch={batch.pk}" in receipt
    assert "inv-1" in owner.get(ledger, {"import_batch": str(batch.pk)}).text
    event = RevenueEvent.objects.get(external_id="inv-1")
    assert page("change", batch) in owner.get(reverse("admin:revenues_revenueevent_change", args=[event.pk])).text
    actions = (
        AuditEntry.objects.filter(object_id=str(batch.pk)).order_by("created_at").values_list("action", "actor_kind")
    )
    assert list(actions) == [
        ("import.created", "member"),
        ("import.confirmed", "member"),
        ("revenues.ingested", "system"),
        ("import.completed", "system"),
    ]


@pytest.mark.parametrize(
    ("content", "values", "field"),
    [
        (b"", {}, "file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", {}, "file"),
        (csv_bytes(row(1)), {"source": "no-id"}, "source"),
        (csv_bytes(row(1)), {"currency": "QQQ"}, "currency"),
        (csv_bytes(row(1)), {"timezone": "Mars/Olympus"}, "timezone"),
        (csv_bytes(row(1)), {"template": "none"}, "template"),
        (csv_bytes(row(1)), {"date_order": "ymd"}, "date_order"),
    ],
)
def test_what_is_wrong_with_an_upload_stands_at_its_field(
    content: bytes, values: dict[str, str], field: str, owner: Client
) -> None:
    assert errors(upload(owner, content, **values)).keys() == {field}
    assert not ImportBatch.objects.exists()


def test_a_file_that_is_too_large_is_refused_at_its_field(owner: Client, settings: Any) -> None:
    settings.IMPORT_BODY_LIMIT_BYTES = 10
    assert errors(upload(owner, csv_bytes(row(1)))).keys() == {"file"}


def test_a_mapping_is_changed_in_the_console_until_the_file_can_be_imported(owner: Client, actor: Actor) -> None:
    header = ["Invoice", "When", "Pieces", "Price", "Rep"]
    batch = uploaded(owner, csv_bytes(["a", "2026-05-01", "3", "2.50", "7"], header=header))
    assert batch.status == ImportStatus.NEEDS_MAPPING
    asked = owner.get(page("change", batch)).text
    assert "No column of the file is the amount." in asked
    assert page("mapping", batch) in asked
    form = owner.get(page("mapping", batch)).context["adminform"].form
    assert form.initial["mapping"] == []
    rows = [
        {"target": "external_revenue_id", "column": "Invoice", "combined": "joined by -", "second": "#"},
        {"target": "transaction_date", "column": "When"},
        {"target": "amount", "column": "Pieces", "combined": "times", "second": "Price"},
        {"target": "currency", "value": "GBP"},
        {"key": "rep", "column": "Rep", "kind": "number"},
    ]
    assert owner.post(page("mapping", batch), mapped(*rows))["Location"] == page("change", batch)
    batch.refresh_from_db()
    assert batch.status == ImportStatus.READY
    assert batch.mapping == {
        "external_revenue_id": {"columns": ["Invoice", "#"], "separator": "-"},
        "transaction_date": {"column": "When"},
        "amount": {"multiply": ["Pieces", "Price"]},
        "currency": {"value": "GBP"},
        "metadata_rep": {"column": "Rep", "type": "number"},
    }
    assert "Pieces × Price" in owner.get(page("change", batch)).text
    form = owner.get(page("mapping", batch)).context["adminform"].form
    shown = [*form.initial["mapping"], *form.initial["metadata"]]
    count = AuditEntry.objects.count()
    assert owner.post(page("mapping", batch), mapped(*shown)).status_code == 302
    assert AuditEntry.objects.count() == count
    again = owner.post(page("mapping", batch), mapped(*shown[:-1], timezone="America/New_York"))
    assert again.status_code == 302, errors(again)
    owner.post(page("command", batch, "confirm"))
    importing.sweep()
    event = RevenueEvent.objects.get()
    assert (event.external_id, str(event.amount), event.metadata) == ("a-2", "7.500000", {})
    assert event.occurred_at.isoformat() == "2026-05-01T04:00:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": "amount"}, "Choose a column, or write what is always meant."),
        ({"target": "amount", "column": "amount", "value": "5"}, "Choose a column, or write what is always meant."),
        ({"target": "amount", "column": "amount", "second": "currency"}, "Say how two columns are combined"),
        ({"key": "", "column": "amount", "kind": "text"}, "This field is required"),
        ({"key": "x" * 41, "column": "amount", "kind": "text"}, "at most 40 characters"),
        ({"target": "amount", "column": "no such"}, "Select a valid choice"),
        ({"target": "reason", "column": "amount", "combined": "times", "second": "amount"}, "Only the amount can be"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_where_it_is(wrong: dict[str, str], message: str, owner: Client) -> None:
    batch = uploaded(owner, csv_bytes(row(1)))
    answer = owner.post(page("mapping", batch), mapped(wrong))
    assert answer.status_code == 200
    assert message in answer.text
    unchanged = ImportBatch.objects.get()
    assert (unchanged.mapping, unchanged.status) == (batch.mapping, ImportStatus.READY)


def test_a_field_mapped_twice_is_refused(owner: Client) -> None:
    batch = uploaded(owner, csv_bytes(row(1)))
    twice = [{"target": "currency", "value": "GBP"}, {"target": "currency", "value": "USD"}]
    assert "Mapped twice: currency." in owner.post(page("mapping", batch), mapped(*twice)).text


def test_what_was_mapped_over_the_api_and_needs_more_than_a_row_is_kept(owner: Client, api: Any) -> None:
    batch = uploaded(owner, csv_bytes(row(1)))
    source = {"columns": ["#", "external_revenue_id", "currency"], "separator": "/"}
    changed = api.put(f"/api/v1/imports/{batch.pk}", {"mapping": {"external_revenue_id": source}})
    assert changed.status_code == 200
    shown = owner.get(page("mapping", batch))
    assert "kept unless you add them here: external_revenue_id" in shown.text
    rows = shown.context["adminform"].form.initial["mapping"]
    owner.post(page("mapping", batch), mapped(*rows, {"target": "reason", "value": "import"}))
    batch.refresh_from_db()
    assert (batch.mapping["external_revenue_id"], batch.mapping["reason"]) == (source, {"value": "import"})


def test_an_import_that_is_over_is_changed_no_more(owner: Client) -> None:
    batch = uploaded(owner, csv_bytes(row(1)))
    owner.post(page("command", batch, "cancel"))
    assert owner.get(page("mapping", batch))["Location"] == page("change", batch)
    assert owner.post(page("mapping", batch), mapped({"target": "reason", "value": "x"}))["Location"] == page(
        "change", batch
    )
    answer = owner.post(page("command", batch, "confirm"), follow=True)
    assert "The import is cancelled." in answer.text
    batch.refresh_from_db()
    assert batch.status == ImportStatus.CANCELLED


def test_problems_samples_and_the_file_itself_are_taken_away(owner: Client) -> None:
    content = csv_bytes(row(1), row(2, "=1+1"), row(3, "x"))
    batch = uploaded(owner, content)
    problems = owner.get(page("problems", batch))
    assert problems["Content-Disposition"] == 'attachment; filename="import-1-problems.csv"'
    lines = problems.getvalue().decode("utf-8-sig").splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("inv-2,2026-05-15T12:00:00+00:00,'=1+1,GBP")
    assert owner.get(page("file", batch)).getvalue() == content
    assert "Stripe balance" in owner.get(reverse(f"{NAMES}_templates")).text
    sample = owner.get(reverse(f"{NAMES}_sample", args=["stripe"]))
    assert sample["Content-Disposition"] == 'attachment; filename="stripe-sample.csv"'
    assert owner.get(reverse(f"{NAMES}_sample", args=["none"])).status_code == 404
    owner.post(page("command", batch, "cancel"))
    assert owner.get(page("file", batch)).status_code == 404


def test_pages_of_imports_are_closed_to_other_workspaces_and_to_roles_without_the_right(
    owner: Client, member: MemberFactory, rival: Actor, actor: Actor
) -> None:
    foreign = ImportBatch.objects.get(pk=factories.import_batch(rival))
    for name in ("mapping", "problems", "file"):
        assert owner.get(page(name, foreign)).status_code == 404
    assert owner.post(page("mapping", foreign), mapped()).status_code == 404
    own = ImportBatch.objects.get(pk=factories.import_batch(actor))
    reviewer = member("reviewer")
    assert reviewer.get(page("change", own)).status_code == 200
    assert "Import these" not in reviewer.get(page("change", own)).text
    assert reviewer.post(page("mapping", own), mapped()).status_code == 403
    assert reviewer.post(page("command", own, "confirm")).status_code == 403
    assert "analysing" not in reviewer.get(page("problems", own)).getvalue().decode()


def test_a_name_with_markup_is_only_a_name(owner: Client) -> None:
    batch = uploaded(owner, csv_bytes(["<script>", "<b>", "1", "GBP"]), name="<img src=x onerror=alert(1)>.csv")
    shown = owner.get(page("change", batch)).text
    assert "<img src=x" not in shown
    assert "<script>" not in shown.split("<main")[-1].replace("<script src", "")
