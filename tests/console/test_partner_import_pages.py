"""Partner imports in the console: upload, what a file would do, confirmation, progress, receipt, problems, files."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now as current_time
from openpyxl import Workbook

from alliantra.workspaces import work
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from partners import importing
from partners.admin.uploads import GUIDE
from partners.import_records import COLUMNS
from partners.import_samples import SHOWN
from partners.models import Partner, PartnerImport, PartnerImportPart, PartnerImportProblem, PartnerImportStatus
from partners.services import create_partner
from partners.services.imports import AT_ONCE, LIMIT
from partners.tasks import cancel_forgotten_partner_imports
from partners.upserts import foresee_partners, import_partners
from tests import factories
from tests.console.conftest import MemberFactory
from tests.console.intelligence import words
from tests.console.test_writes import errors
from tests.http import ApiClient

NAMES = "admin:partners_partnerimport"
FILE = b"""external_id,name,type,region,metadata_tier
p-1,Nord,agency,Kent,gold
p-2,Sud,,Essex,
p-3,Ost,gift,Wales,
p-4,,,,
"""


def page(name: str, batch: PartnerImport, *more: str) -> str:
    """Address of one of an import's pages."""
    return reverse(f"{NAMES}_{name}", args=[batch.pk, *more])


def upload(browser: Client, content: bytes, name: str = "partners.csv") -> Any:
    """The answer to the upload form."""
    return browser.post(reverse(f"{NAMES}_add"), {"file": SimpleUploadedFile(name, content)})


def uploaded(browser: Client, content: bytes, name: str = "partners.csv") -> PartnerImport:
    """The import that an upload made."""
    answer = upload(browser, content, name)
    batch = PartnerImport.objects.latest("created_at")
    assert (answer.status_code, answer.headers.get("Location")) == (302, page("change", batch)), errors(answer)
    return batch


def counts(batch: PartnerImport) -> tuple[str, int, int, int, int]:
    """Status, created, updated, unchanged, refused, as they stand now."""
    batch.refresh_from_db()
    return batch.status, batch.created, batch.updated, batch.unchanged, batch.failed


def many(number: int, **values: str) -> bytes:
    """A CSV with so many partners."""
    header = ["external_id", "name", *values]
    lines = [",".join(header), *(f"m-{each},Many {each},{','.join(values.values())}" for each in range(number))]
    return "\n".join(lines).encode()


# -- small files -----------------------------------------------------------------------------------


def test_a_file_shows_what_it_would_do_and_does_it_once_it_is_confirmed(owner: Client, actor: Actor) -> None:
    create_partner(actor=actor, external_id="p-1", name="Nord", region="Surrey", metadata={"tier": "silver", "a": 1})
    create_partner(actor=actor, external_id="p-2", name="Sud", region="Essex")
    batch = uploaded(owner, FILE + b"p-5,West,,,\n")
    assert counts(batch) == ("ready", 1, 1, 1, 2)
    text = words(owner.get(page("change", batch)))
    for said in (
        "nothing is imported yet",
        "To be created 1",
        "To be updated 1",
        "type: affiliate → becomes agency",
        "region: Surrey → becomes Kent",
        "tier: silver → becomes gold",
        "4 p-3 type Expected one of affiliate,",
        "influencer. gift",
        "5 p-4 name A new partner needs a name. –",
        "West p-5",
    ):
        assert said in text, said
    assert Partner.objects.count() == 2
    answer = owner.post(page("command", batch, "confirm"), follow=True)
    assert "1 created, 1 updated, 1 unchanged, 2 refused." in words(answer)
    assert counts(batch) == ("completed", 1, 1, 1, 2)
    nord, west = Partner.objects.get(external_id="p-1"), Partner.objects.get(external_id="p-5")
    assert (nord.region, nord.type, nord.metadata) == ("Kent", "agency", {"tier": "gold", "a": 1})
    receipt = owner.get(page("change", batch))
    assert reverse("admin:partners_partner_change", args=[west.pk]) in receipt.text
    assert "Import these partners" not in receipt.text
    assert "What it changed" in receipt.text
    assert not PartnerImportPart.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="partner_import").order_by("created_at")
    assert list(actions.values_list("action", "actor_kind")) == [
        ("partner_import.created", "member"),
        ("partner_import.confirmed", "member"),
        ("partner_import.completed", "member"),
    ]
    assert AuditEntry.objects.get(action="partner.created", object_name="West").actor_kind == "member"


def test_confirming_twice_imports_once(owner: Client, actor: Actor) -> None:
    batch = uploaded(owner, b"external_id,name\np-1,Nord\n")
    for _ in range(2):
        owner.post(page("command", batch, "confirm"))
    assert counts(batch) == ("completed", 1, 0, 0, 0)
    assert AuditEntry.objects.filter(action="partner.created").count() == 1
    assert AuditEntry.objects.filter(action="partner_import.confirmed").count() == 1


def test_what_became_another_after_the_preview_is_imported_as_it_is_then(owner: Client, actor: Actor) -> None:
    batch = uploaded(owner, b"external_id,name\np-1,Nord\np-2,Sud\n")
    assert counts(batch) == ("ready", 2, 0, 0, 0)
    create_partner(actor=actor, external_id="p-1", name="Nord")
    create_partner(actor=actor, external_id="p-2", name="Other")
    owner.post(page("command", batch, "confirm"))
    assert counts(batch) == ("completed", 0, 1, 1, 0)


def test_the_same_partner_twice_in_a_file_is_foreseen_as_it_comes(owner: Client) -> None:
    batch = uploaded(owner, b"external_id,name,region\np-1,,Kent\n p-1 ,Nord,Kent\np-1,Nord,Essex\np-1,Nord,Essex\n")
    assert counts(batch) == ("ready", 1, 1, 1, 1)
    owner.post(page("command", batch, "confirm"))
    assert counts(batch) == ("completed", 1, 1, 1, 1)


def test_an_import_is_cancelled_and_leaves_nothing(owner: Client) -> None:
    batch = uploaded(owner, FILE)
    assert "Nothing more of it is imported" in owner.get(page("command", batch, "cancel")).text
    owner.post(page("command", batch, "cancel"))
    assert counts(batch)[0] == "cancelled"
    assert "Nothing of it was imported." in owner.get(page("change", batch)).text
    assert not PartnerImportPart.objects.exists()
    answer = owner.post(page("command", batch, "confirm"), follow=True)
    assert "The import is cancelled." in answer.text
    assert not Partner.objects.exists()


def test_a_file_that_nobody_confirms_is_let_go_after_a_week(owner: Client) -> None:
    forgotten, fresh = uploaded(owner, FILE), uploaded(owner, FILE)
    PartnerImport.objects.filter(pk=forgotten.pk).update(created_at=current_time() - timedelta(days=8))
    cancel_forgotten_partner_imports()
    assert (counts(forgotten)[0], counts(fresh)[0]) == ("cancelled", "ready")
    assert set(PartnerImportPart.objects.values_list("batch_id", flat=True)) == {fresh.pk}
    assert AuditEntry.objects.get(action="partner_import.cancelled").actor_kind == "system"


# -- files -----------------------------------------------------------------------------------------


def workbook(*rows: list[Any]) -> bytes:
    """An XLSX file."""
    book, file = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"\xef\xbb\xbfExternal ID;Name;Type\n7;N\xc3\xb6rd;Strategic Alliance;;\n", "csv"),
        ("a.csv", b"External-ID\tName\tType\r\n7\tN\xf6rd\tstrategic_alliance\r\n", "csv"),
        ("a.xlsx", workbook(["external_id", "name", "type"], [7, "Nörd", "STRATEGIC ALLIANCE"]), "xlsx"),
        ("a.json", b'{"records": [{"external_id": "7", "name": "N\\u00f6rd", "type": "strategic_alliance"}]}', "json"),
        ("a.jsonl", b'{"external_id": "7", "name": "N\xc3\xb6rd", "type": "strategic_alliance"}\n', "ndjson"),
    ],
)
def test_a_file_is_read_as_people_write_it(name: str, content: bytes, kind: str, owner: Client) -> None:
    batch = uploaded(owner, content, name)
    assert (batch.format, batch.file_name) == (kind, name)
    owner.post(page("command", batch, "confirm"))
    partner = Partner.objects.get()
    assert (partner.external_id, partner.name, partner.type) == ("7", "Nörd", "strategic_alliance")


def test_a_table_adds_to_metadata_and_json_replaces_it(owner: Client, actor: Actor) -> None:
    row = create_partner(actor=actor, external_id="p-1", name="Nord", metadata={"tier": "gold"})
    for name, content, expected in (
        ("a.xlsx", workbook(["external_id", "metadata_since"], ["p-1", 2020]), {"tier": "gold", "since": "2020"}),
        ("a.json", json.dumps({"records": [{"external_id": "p-1", "metadata": {"x": 1}}]}).encode(), {"x": 1}),
    ):
        batch = uploaded(owner, content, name)
        assert counts(batch) == ("ready", 0, 1, 0, 0)
        owner.post(page("command", batch, "confirm"))
        row.refresh_from_db()
        assert row.metadata == expected
    assert "tier: gold → becomes –" in words(owner.get(page("change", batch)))


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.csv", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a.csv", "NUL bytes"),
        (b"external_id,name\n", "a.csv", "no partner in it"),
        (b"external_id,name,colour\np-1,Nord,red\n", "a.csv", "'colour' is no column of this import. Known: "),
        (b"name\nNord\n", "a.csv", "The header has no column external_id."),
        (b"external_id,name,name\np-1,A,B\n", "a.csv", "Two columns have the same name: name."),
        (b"External ID,external_id\np-1,p-1\n", "a.csv", "Two columns of the file have this name."),
        (b"PK\x03\x04nonsense", "a.xlsx", "cannot be read as one"),
        (b"[]", "a.json", 'The file must be {"records": [...]}.'),
        (b'{"records": [', "a.json", "The file is not valid JSON"),
        (b'{"records": []}', "a.json", "no partner in it"),
        (b"\n", "a.ndjson", "no partner in it"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_stands_at_its_field(content: bytes, name: str, said: str, owner: Client) -> None:
    answer = upload(owner, content, name)
    found = errors(answer)
    assert found.keys() == {"file"}
    assert said in found["file"][0]
    assert not PartnerImport.objects.exists()


def test_a_file_that_is_too_large_is_refused_at_its_field(
    owner: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partners.services.imports.LIMIT", 3)
    assert "at most 3 records" in errors(upload(owner, FILE))["file"][0]
    assert not PartnerImportPart.objects.exists()
    settings.IMPORT_BODY_LIMIT_BYTES = 10
    assert "at most 10 bytes" in errors(upload(owner, FILE))["file"][0]
    assert errors(owner.post(reverse(f"{NAMES}_add"), {})).keys() == {"file"}
    assert LIMIT == 100_000


def test_the_template_is_a_file_that_can_be_imported(owner: Client) -> None:
    template = owner.get(reverse(f"{NAMES}_template"))
    assert template["Content-Disposition"] == 'attachment; filename="partners-template.csv"'
    assert [column.name for column in GUIDE[:-1]] == list(COLUMNS)
    batch = uploaded(owner, template.content)
    assert counts(batch) == ("ready", 2, 0, 0, 0)
    form = words(owner.get(reverse(f"{NAMES}_add")))
    assert "Download a template" in form
    assert "metadata_account_manager" in form


# -- problems --------------------------------------------------------------------------------------


def test_problems_are_named_by_the_rows_of_the_file_and_taken_away(
    owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partners.admin.imports.PROBLEMS_SHOWN", 2)
    header, long = b"external_id,name,type,region", b"x" * 101
    rows = [header, b",,", b"=1+1,Nord,gift", b"", b'p-2,"', b'",zzz,' + long, b",Nameless,", b"p-4,West,,,x"]
    batch = uploaded(owner, b"\n".join(rows))
    first, second = (owner.get(page("change", batch), {"p": number}) for number in ("1", "2"))
    assert [line.row for line in first.context["problems"]] == [3, 5, 5]
    assert [line.row for line in second.context["problems"]] == [6, 7]
    assert "the whole row The row has more cells" in words(second)
    assert [link.address for link in first.context["pages"]] == ["", "?p=2#problems"]
    file = owner.get(page("problems", batch))
    assert file["Content-Disposition"] == 'attachment; filename="partners-problems.csv"'
    lines = list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))
    assert [(line["row"], line["external_id"], line["field"], line["code"], line["value"]) for line in lines] == [
        ("3", "'=1+1", "type", "invalid_choice", "gift"),
        ("5", "p-2", "type", "invalid_choice", "zzz"),
        ("5", "p-2", "region", "too_long", f"{'x' * 99}…"),
        ("6", "", "external_id", "required", ""),
        ("7", "", "", "extra_cells", ""),
    ]  # fmt: skip


def test_problems_stand_in_the_api_as_before(owner: Client, api: ApiClient) -> None:
    batch = uploaded(owner, FILE)
    shown = api.get(f"/v1/imports/{batch.pk}").json()["data"]
    assert (shown["status"], shown["created"], shown["failed"], shown["processed"]) == ("ready", 2, 2, 0)
    assert (shown["file_name"], shown["progress"]) == ("partners.csv", 0)
    problems = api.get(f"/v1/imports/{batch.pk}/problems").json()["data"]
    assert [(each["index"], each["problem"]["errors"][0]["pointer"]) for each in problems] == [
        (2, "/type"),
        (3, "/name"),
    ]
    assert [row["id"] for row in api.get("/v1/imports?status=ready").json()["data"]] == [str(batch.pk)]


def test_what_was_sent_over_the_api_has_a_page_too(owner: Client, api: ApiClient) -> None:
    records: list[Any] = [{"external_id": f"p-{each}", "name": "x"} for each in range(AT_ONCE)]
    answer = api.post("/v1/partners/import", {"records": [*records, {"external_id": "p-x"}]})
    batch = PartnerImport.objects.get()
    assert str(batch.pk) in answer.headers["Location"]
    assert "queued 0 %" in words(owner.get(page("change", batch)))
    importing.sweep()
    text = words(owner.get(page("change", batch)))
    assert "1,001 partners sent over the API completed" in text
    assert "the first 50 of 1,000" in text
    assert "1,001 p-x name" in text


# -- many ------------------------------------------------------------------------------------------


def test_more_than_a_thousand_partners_are_looked_through_and_imported_by_a_worker(
    owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_partner(actor=actor, external_id="m-7", name="Many 7", region="Kent")
    content = many(AT_ONCE + 500, region="Kent") + b"\nm-3,Renamed,Kent\nm-1499,Many 1499,Essex\nx,,\n"
    batch = uploaded(owner, content)
    shown = owner.get(page("change", batch)).text
    assert "Finding out what it would do" in shown
    assert 'http-equiv="refresh"' in shown
    assert "Import these partners" not in shown
    assert "The import is analysing." in owner.post(page("command", batch, "confirm"), follow=True).text
    importing.sweep()
    expected = (AT_ONCE + 499, 2, 1, 1)
    assert counts(batch) == ("ready", *expected)
    assert Partner.objects.count() == 1
    assert "the first 50 of 1,499" in words(owner.get(page("change", batch)))
    assert "is being imported" in words(owner.post(page("command", batch, "confirm"), follow=True))
    assert counts(batch) == ("queued", 0, 0, 0, 0)
    assert not PartnerImportProblem.objects.exists()
    importing.sweep()
    assert counts(batch) == ("completed", *expected)
    assert Partner.objects.count() == AT_ONCE + 500
    assert PartnerImportProblem.objects.get().row == AT_ONCE + 504


def test_a_worker_that_dies_over_a_preview_leaves_it_to_the_next_from_the_beginning(
    owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = uploaded(owner, many(AT_ONCE + 1) + b"\nx,\n")
    foreseen, seen = foresee_partners, list[int]()

    def dies(*args: Any, **values: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            raise SystemExit
        return foreseen(*args, **values)

    monkeypatch.setattr(importing, "foresee_partners", dies)
    with pytest.raises(SystemExit):
        importing.sweep()
    batch.refresh_from_db()
    assert (batch.status, batch.rows_done) == ("analysing", 500)
    PartnerImport.objects.update(leased_until=current_time() - timedelta(seconds=1))
    importing.sweep()
    assert counts(batch) == ("ready", AT_ONCE + 1, 0, 0, 1)
    assert len(batch.sample) == SHOWN


def test_a_preview_that_breaks_says_so(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = uploaded(owner, many(AT_ONCE + 1))

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(importing, "foresee_partners", broken)
    importing.sweep()
    assert counts(batch)[0] == PartnerImportStatus.FAILED
    assert "The import failed: Internal error (ZeroDivisionError)" in words(owner.get(page("change", batch)))


def test_a_running_import_that_is_cancelled_stops_and_keeps_what_it_did(
    owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = uploaded(owner, many(AT_ONCE + 1))
    importing.sweep()
    owner.post(page("command", batch, "confirm"))
    slow = work.claim(PartnerImport, batch.pk)
    assert slow is not None
    done, seen = import_partners, list[int]()

    def dies(**values: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            raise SystemExit
        return done(**values)

    with monkeypatch.context() as patch:
        patch.setattr(importing, "import_partners", dies)
        with pytest.raises(SystemExit):
            importing.run(slow)
    owner.post(page("command", batch, "cancel"))
    with pytest.raises(work.LeaseLost):
        importing.run(slow)
    importing.sweep()
    assert counts(batch)[:2] == ("cancelled", 500)
    assert Partner.objects.count() == 500
    assert not PartnerImportPart.objects.exists()
    assert "Created 500" in words(owner.get(page("change", batch)))


# -- who -------------------------------------------------------------------------------------------


def test_the_list_of_partners_leads_to_imports_for_who_may(member: MemberFactory, actor: Actor) -> None:
    batch = PartnerImport.objects.get(pk=factories.partner_upload(actor))
    add = reverse(f"{NAMES}_add")
    manager, viewer = member("partner_manager"), member("viewer")
    assert add in manager.get(reverse("admin:partners_partner_changelist")).text
    assert add in manager.get(reverse(f"{NAMES}_changelist")).text
    listed = viewer.get(reverse(f"{NAMES}_changelist")).text
    assert batch.file_name in listed
    assert add not in listed
    assert add not in viewer.get(reverse("admin:partners_partner_changelist")).text
    shown = viewer.get(page("change", batch))
    assert shown.status_code == 200
    assert "Import these partners" not in shown.text
    assert b"canary" in viewer.get(page("problems", batch)).getvalue()
    assert viewer.get(reverse(f"{NAMES}_template")).status_code == 200
    assert upload(viewer, FILE).status_code == 403
    for command in ("confirm", "cancel"):
        assert viewer.post(page("command", batch, command)).status_code == 403
    assert viewer.post(page("change", batch), {"file": ""}).status_code == 403
    assert counts(batch)[0] == "ready"


def test_another_workspaces_import_and_partners_do_not_exist(owner: Client, actor: Actor, rival: Actor) -> None:
    foreign = PartnerImport.objects.get(pk=factories.partner_upload(rival))
    create_partner(actor=rival, external_id="p-1", name="Theirs", region="Kent")
    for name in ("change", "problems"):
        assert owner.get(page(name, foreign)).status_code == 404
    assert owner.post(page("command", foreign, "confirm")).status_code == 404
    assert foreign.file_name not in owner.get(reverse(f"{NAMES}_changelist")).text
    batch = uploaded(owner, b"external_id,name\np-1,Ours\n")
    assert counts(batch) == ("ready", 1, 0, 0, 0)
    assert "Theirs" not in owner.get(page("change", batch)).text
    owner.post(page("command", batch, "confirm"))
    assert Partner.objects.in_workspace(rival.workspace).get(external_id="p-1").name == "Theirs"


def test_a_name_with_markup_is_only_a_name(owner: Client) -> None:
    content = b"external_id,name,type,metadata_<i>\np-1,<b>x</b>,<u>,<s>\np-2,<b>y</b>,,<s>\n"
    batch = uploaded(owner, content, "<img src=x onerror=alert(1)>.csv")
    shown = owner.get(page("change", batch)).text.split("<main")[-1]
    for markup in ("<img src=x", "<b>x", "<b>y", "<u>", "<s>", "<i>"):
        assert markup not in shown
