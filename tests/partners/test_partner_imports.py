"""Many partners at once: answered one by one, or imported by workers that may die at any moment."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.utils.timezone import now as current_time
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework import serializers

from alliantra.api.errors import as_domain_error
from alliantra.errors import Invalid
from alliantra.workspaces import work
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners import importing
from partners.api.imports import PartnerRecordSerializer
from partners.import_records import SET_BY_SERVER, read_partner
from partners.models import Partner, PartnerImport, PartnerImportPart, PartnerImportProblem, PartnerImportStatus
from partners.services import create_partner
from partners.services.imports import create_partner_import
from partners.tasks import sweep_partner_imports, work_on_partner_import
from partners.upserts import Landed, import_partners
from tests import factories
from tests.concurrency import in_parallel, kill_worker_at, sweep_after_the_lease
from tests.conftest import ClientFactory
from tests.http import ApiClient

IMPORT, IMPORTS = "/v1/partners/import", "/v1/imports"
NDJSON, CSV = "application/x-ndjson", "text/csv"
MANY = 1_001
WORKER = """
import sys, django
django.setup()
from uuid import UUID
from partners import importing
importing.work_on(UUID(sys.argv[1]))
"""


def record(number: int, **values: Any) -> dict[str, Any]:
    """A record as it is sent."""
    return {"external_id": f"p-{number}", "name": f"Partner {number}", **values}


def csv_body(*rows: dict[str, Any]) -> bytes:
    """Rows under a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def lines(*records: Any) -> bytes:
    """NDJSON."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def outcomes(actor: Actor, *records: Any, **options: Any) -> list[str]:
    """What became of each record."""
    found = import_partners(actor=actor, records=list(records), **options)
    return [each.outcome if isinstance(each, Landed) else each.errors[0].code for each in found]


# -- answered one by one ---------------------------------------------------------------------------


def test_up_to_a_thousand_partners_are_answered_one_by_one(api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    records = [
        record(1, channel="content", metadata={"tier": 2.5}),
        {"external_id": "partner-1", "region": "Kent"},
        {"external_id": "partner-1", "region": "Kent"},
        {"external_id": "new"},
        {"name": "Nameless"},
        7,
        record(1, name="Renamed"),
    ]
    answer = api.post(IMPORT, {"records": records})
    assert [each["status"] for each in answer.json()["data"]] == [201, 200, 200, 422, 422, 422, 200]
    assert answer.json()["meta"] == {"processed": 7, "succeeded": 4, "failed": 3, "limit": 1000}
    refused = [each["response"]["errors"][0] for each in answer.json()["data"][3:6]]
    assert [(each["pointer"], each["code"]) for each in refused] == [
        ("/name", "required"),
        ("/external_id", "required"),
        ("", "invalid_type"),
    ]
    shown = answer.json()["data"][1]["response"]["data"]
    assert shown == api.get(f"/v1/partners/{shown['id']}").json()["data"]
    row = Partner.objects.get(external_id="p-1")
    assert (row.name, row.channel, row.metadata) == ("Renamed", "content", {"tier": Decimal("2.5")})
    assert Partner.objects.get(external_id="partner-1").name == f"{factories.CANARY} 1"


def test_each_change_stands_in_the_audit_log_once(api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    before = AuditEntry.objects.count()
    records = [
        record(1),
        record(1, region="Kent"),
        {"external_id": "partner-1", "name": "Nord"},
        record(1, region="Kent"),
    ]
    api.post(IMPORT, {"records": records})
    entries = AuditEntry.objects.order_by("created_at")[before:]
    assert sorted((entry.action, str((entry.before or {}).get("name"))) for entry in entries) == [
        ("partner.created", "None"),
        ("partner.updated", "None"),
        ("partner.updated", f"{factories.CANARY} 1"),
    ]
    assert {entry.actor_kind for entry in entries} == {"api_key"}
    assert {entry.object_type for entry in entries} == {"partner"}
    region = AuditEntry.objects.get(action="partner.updated", object_name="Partner 1")
    assert (region.before, region.after) == ({"region": ""}, {"region": "Kent"})
    count = AuditEntry.objects.count()
    api.post(IMPORT, {"records": records[3:]})
    assert AuditEntry.objects.count() == count


def test_a_thousand_partners_take_few_statements(api: ApiClient, django_assert_max_num_queries: Any) -> None:
    records = [record(number) for number in range(1_000)]
    for _ in range(2):
        with django_assert_max_num_queries(60):
            answer = api.post(IMPORT, {"records": records})
        assert answer.json()["meta"]["succeeded"] == 1_000
        records = [{**each, "region": "Kent"} for each in records]
    assert Partner.objects.filter(region="Kent").count() == 1_000


def test_a_changed_partner_has_a_new_tag(api: ApiClient) -> None:
    [made] = api.post(IMPORT, {"records": [record(1)]}).json()["data"]
    path = f"/v1/partners/{made['response']['data']['id']}"
    tag = api.get(path).headers["ETag"]
    api.post(IMPORT, {"records": [record(1)]})
    assert api.get(path).headers["ETag"] == tag
    api.post(IMPORT, {"records": [record(1, region="Kent")]})
    assert api.patch(path, {"region": "Essex"}, If_Match=tag).status_code == 412


def test_a_record_without_a_name_before_the_one_that_creates_its_partner_is_refused(actor: Actor) -> None:
    nameless = {"external_id": "p-1", "region": "Kent"}
    assert outcomes(actor, nameless, record(1), nameless, record(1)) == ["required", "created", "updated", "unchanged"]
    assert Partner.objects.get().region == "Kent"


@pytest.mark.django_db(transaction=True)
def test_the_same_new_partners_imported_at_once_are_there_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    found: list[str] = []

    def act(number: int) -> None:
        records = [record(each, region=f"R{number}") for each in range(200)]
        found.extend(outcomes(actor, *(records if number % 2 else reversed(records))))

    in_parallel(4, act)
    assert Partner.objects.count() == 200
    assert (found.count("created"), found.count("updated")) == (200, 600)
    assert AuditEntry.objects.filter(action="partner.created").count() == 200
    assert AuditEntry.objects.filter(action="partner.updated").count() == 600
    assert Partner.objects.values("region").distinct().count() == 1


def test_an_import_of_another_workspace_meets_no_partner_of_this_one(api: ApiClient, rival: Actor) -> None:
    create_partner(actor=rival, external_id="p-1", name="Theirs")
    assert api.post(IMPORT, {"records": [record(1)]}).json()["data"][0]["status"] == 201
    assert Partner.objects.in_workspace(rival.workspace).get().name == "Theirs"


# -- what a record may say -------------------------------------------------------------------------

TEXT = st.one_of(st.text(max_size=4), st.sampled_from(["", "  ", " x ", "x" * 100, "x" * 101, "x" * 201, "x" * 301]))
VALUE = st.one_of(
    TEXT,
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(["affiliate", "agency", "gift"]),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(
        st.sampled_from(["", "k", "k" * 40, "k" * 41]),
        st.one_of(TEXT, st.none(), st.booleans(), st.sampled_from(["x" * 501, *map(Decimal, ("1.5", "1e41", "NaN"))])),
        max_size=2,
    ),
)  # fmt: skip
FIELDS = [*PartnerRecordSerializer().fields, "colour"]


def seen_by_the_api(record: dict[str, Any]) -> dict[str, Any] | set[tuple[str, str]]:
    """Values, or pointers and codes, as the serializer has them."""
    try:
        return dict(PartnerRecordSerializer().run_validation(record))
    except serializers.ValidationError as error:
        return {(problem.pointer.split("/0")[0], problem.code) for problem in as_domain_error(error).errors}


def seen_by_an_import(record: dict[str, Any]) -> dict[str, Any] | set[tuple[str, str]]:
    """Values, or pointers and codes, as the import has them."""
    try:
        return read_partner(record)
    except Invalid as error:
        return {(problem.pointer, problem.code) for problem in error.errors}


@example({"id": None, "external_id": "\x00"})
@example({"external_id": "a", "name": "\ud800"})
@given(st.dictionaries(st.sampled_from(FIELDS), VALUE))
def test_an_import_reads_a_record_as_the_api_reads_a_partner(record: dict[str, Any]) -> None:
    assert seen_by_an_import(record) == seen_by_the_api(record)


def test_an_import_knows_every_field_that_the_server_sets() -> None:
    serializer: Any = PartnerRecordSerializer()
    assert {name for name in serializer.fields if serializer.is_read_only(name)} == SET_BY_SERVER
    many = {f"k{number}": 1 for number in range(51)}
    assert seen_by_an_import(record(1, metadata=many)) == {("/metadata", "metadata_limit")}


# -- formats ---------------------------------------------------------------------------------------


def test_a_csv_has_columns_and_metadata_and_its_empty_cells_are_not_sent(api: ApiClient, actor: Actor) -> None:
    create_partner(
        actor=actor, external_id="p-1", name="Old", website="old.example", metadata={"tier": "gold", "since": 2020}
    )
    rows = [
        {"external_id": "p-1", "name": "New", "website": "", "metadata_tier": "", "metadata_country": "DE"},
        {
            "external_id": "p-2",
            "name": 'A "quoted", name',
            "website": "b.example",
            "metadata_tier": "2",
            "metadata_country": "",
        },
    ]
    answer = api.send(IMPORT, b"\xef\xbb\xbf" + csv_body(*rows) + b"\r\n,,,,\r\n", content_type=f"{CSV}; charset=utf-8")
    assert [each["status"] for each in answer.json()["data"]] == [200, 201]
    old, new = Partner.objects.order_by("external_id")
    assert (old.name, old.website, old.metadata) == (
        "New",
        "old.example",
        {"tier": "gold", "since": 2020, "country": "DE"},
    )
    assert (new.name, new.website, new.metadata) == ('A "quoted", name', "b.example", {"tier": "2"})


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        (b"external_id,name,colour\np-1,P,red\n", "/colour", "unknown_field"),
        (b"external_id,name,metadata_\np-1,P,red\n", "/metadata_", "unknown_field"),
        (b"external_id,name,name\np-1,P,P\n", "/name", "duplicate_column"),
        (b"name\nP\n", "/external_id", "missing_column"),
        (b'external_id,name\np-1,"P\n', "", "unreadable_file"),
    ],
)
def test_a_csv_with_a_wrong_header_is_refused_whole(body: bytes, pointer: str, code: str, api: ApiClient) -> None:
    answer = api.send(IMPORT, body, content_type=CSV)
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert not Partner.objects.exists()


def test_each_row_of_a_csv_lands_or_fails_alone(api: ApiClient, actor: Actor) -> None:
    full = {f"k{number}": 1 for number in range(50)}
    create_partner(actor=actor, external_id="full", name="Full", metadata=full)
    header, good = b"external_id,name,type,metadata_more", b"p-5,P,agency,1"
    wrong = [b"p-1,P,gift,", b"p-2,P,agency,,x", b"p-\x003,P,,", b"p-4", b"full,,,1"]
    answer = api.send(IMPORT, b"\n".join([header, *wrong, good]), content_type=CSV).json()
    assert [each["status"] for each in answer["data"]] == [422, 422, 422, 422, 422, 201]
    assert [each["response"]["errors"][0]["code"] for each in answer["data"][:5]] == [
        "invalid_choice",
        "extra_cells",
        "unprintable",
        "required",
        "metadata_limit",
    ]


def test_a_line_that_cannot_be_read_fails_alone(api: ApiClient) -> None:
    body = lines(record(1)) + b'{"external_id": "p-2", "external_id": "p-3"}\nnonsense\n\xff\n[]\n\n' + lines(record(4))
    answer = api.send(IMPORT, body, content_type=NDJSON).json()
    assert [each["status"] for each in answer["data"]] == [201, 400, 400, 400, 422, 400, 201]
    codes = [each["response"]["code"] for each in answer["data"][1:6]]
    assert codes == ["duplicate_key", "malformed_json", "invalid_encoding", "invalid", "malformed_json"]


def test_a_json_record_with_a_double_member_fails_alone(api: ApiClient) -> None:
    body = b'{"records": [{"external_id": "a", "name": "A"}, {"name": "B", "name": "C"}]}'
    assert [each["status"] for each in api.send(IMPORT, body).json()["data"]] == [201, 400]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b'{"records": [{]}', 400, "malformed_json"),
        (b"\xef\xbb\xbf{}", 400, "invalid_encoding"),
        (b'{"records": [], "records": []}', 400, "duplicate_key"),
        (b'{"records": []}', 422, "batch_limit"),
        (b'{"records": {}}', 422, "batch_limit"),
        (b'{"records": [{}], "all": 1}', 422, "batch_limit"),
        (b"[]", 422, "batch_limit"),
        (b"null", 422, "batch_limit"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(body: bytes, status: int, code: str, api: ApiClient) -> None:
    answer = api.send(IMPORT, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_other_media_types_and_charsets_are_refused(api: ApiClient) -> None:
    for media_type in ("text/plain", "application/xml", "text/csv; charset=latin-1", ""):
        answer = api.send(IMPORT, b"external_id,name\na,A\n", content_type=media_type)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_nothing_in_a_csv_or_in_lines_is_refused(api: ApiClient) -> None:
    for body, media_type in ((b"external_id,name\n", CSV), (b"\n", NDJSON)):
        assert api.send(IMPORT, body, content_type=media_type).json()["code"] == "batch_limit"


def test_a_body_may_be_as_large_as_a_file(api: ApiClient, settings: Any) -> None:
    settings.IMPORT_BODY_LIMIT_BYTES = 6_000_000
    row = lines(record(1, website="x" * 290))
    large = row * (5_500_000 // len(row))
    assert api.send(IMPORT, large, content_type=NDJSON).status_code == 202
    assert api.send(IMPORT, large + row * 2_000, content_type=NDJSON).status_code == 413
    assert api.send("/v1/partners", large).status_code == 413


# -- more than are answered at once ----------------------------------------------------------------


def started(api: ApiClient, records: list[Any]) -> dict[str, Any]:
    """An import that waits for a worker."""
    answer = api.post(IMPORT, {"records": records})
    assert answer.status_code == 202, answer.content
    data: dict[str, Any] = answer.json()["data"]
    assert answer.headers["Location"] == f"{IMPORTS}/{data['id']}"
    return data


def test_more_than_a_thousand_partners_become_an_import_to_follow(api: ApiClient, actor: Actor) -> None:
    create_partner(actor=actor, external_id="p-7", name="Partner 7")
    create_partner(actor=actor, external_id="p-8", name="Old")
    records: list[Any] = [record(number) for number in range(1_200)]
    records[3], records[600], records[1_199] = 7, record(600, type="gift"), record(1, region="Kent")
    begun = started(api, records)
    assert (begun["status"], begun["records"], begun["processed"], begun["progress"]) == ("queued", 1_200, 0, 0)
    assert (begun["format"], begun["failure"], begun["finished_at"]) == ("json", "", None)
    assert Partner.objects.count() == 2
    sweep_partner_imports()
    done = api.get(f"{IMPORTS}/{begun['id']}").json()["data"]
    counts = {name: done[name] for name in ("processed", "created", "updated", "unchanged", "failed", "progress")}
    assert counts == {
        "processed": 1_200, "created": 1_195, "updated": 2, "unchanged": 1, "failed": 2, "progress": 1,
    }  # fmt: skip
    assert (done["status"], done["finished_at"] is not None) == ("completed", True)
    assert Partner.objects.count() == 1_197
    assert Partner.objects.get(external_id="p-1").region == "Kent"
    assert not PartnerImportPart.objects.exists()
    problems = api.get(f"{IMPORTS}/{begun['id']}/problems").json()["data"]
    assert [(each["index"], each["external_id"]) for each in problems] == [(3, ""), (600, "p-600")]
    assert [each["problem"]["errors"][0]["code"] for each in problems] == ["invalid_type", "invalid_choice"]
    sent_by = AuditEntry.objects.get(action="partner_import.created")
    assert {each["problem"]["request_id"] for each in problems} == {sent_by.request_id}
    assert {each["problem"]["instance"] for each in problems} == {IMPORT}


def test_an_import_acts_in_the_name_of_who_sent_it(api: ApiClient) -> None:
    started(api, [record(number) for number in range(MANY)])
    importing.sweep()
    actors = AuditEntry.objects.filter(action__startswith="partner").values_list(
        "actor_kind", "actor_name", "request_id"
    )
    [(kind, name, request_id)] = set(actors)
    assert (kind, name) == ("api_key", "test")
    assert request_id
    summary = AuditEntry.objects.get(action="partner_import.completed").after or {}
    assert summary == {"records": MANY, "created": MANY, "updated": 0, "unchanged": 0, "failed": 0}


def test_problems_come_page_by_page_in_the_order_of_the_records(api: ApiClient) -> None:
    begun = started(api, [{"name": "x"} if number % 2 else record(number) for number in range(MANY)])
    importing.sweep()
    path, cursor, seen = f"{IMPORTS}/{begun['id']}/problems?limit=200", "", list[int]()
    while True:
        page = api.get(f"{path}{cursor}").json()
        seen += [each["index"] for each in page["data"]]
        if not page["meta"]["has_more"]:
            break
        cursor = f"&cursor={page['meta']['next_cursor']}"
    assert seen == list(range(1, MANY, 2))


@pytest.mark.parametrize("media_type", [CSV, NDJSON])
def test_long_files_and_streams_become_imports_too(media_type: str, api: ApiClient) -> None:
    rows = [record(number) for number in range(MANY)]
    body = csv_body(*rows) + b"p-x,,,,\r\n" if media_type == CSV else lines(*rows) + b"nonsense\n"
    answer = api.send(IMPORT, body, content_type=media_type)
    assert answer.status_code == 202
    importing.sweep()
    done = api.get(answer.headers["Location"]).json()["data"]
    assert (done["format"], done["created"], done["failed"]) == ("csv" if media_type == CSV else "ndjson", MANY, 1)
    [problem] = api.get(f"{answer.headers['Location']}/problems").json()["data"]
    assert problem["index"] == MANY
    assert problem["problem"]["status"] == (422 if media_type == CSV else 400)


def test_a_long_csv_adds_to_metadata_and_long_json_replaces_it(api: ApiClient, actor: Actor) -> None:
    create_partner(actor=actor, external_id="p-0", name="Partner 0", metadata={"tier": "gold"})
    rows = [{**record(number), "metadata_country": "DE"} for number in range(MANY)]
    api.send(IMPORT, csv_body(*rows), content_type=CSV)
    importing.sweep()
    assert Partner.objects.get(external_id="p-0").metadata == {"tier": "gold", "country": "DE"}
    started(api, [record(number, metadata={"x": 1}) for number in range(MANY)])
    importing.sweep()
    assert Partner.objects.get(external_id="p-0").metadata == {"x": 1}


def test_too_many_records_leave_nothing_behind(api: ApiClient) -> None:
    for body, media_type in (
        (lines({}) * 100_001, NDJSON),
        (b"external_id,name\n" + b"a,A\n" * 100_001, CSV),
        (b'{"records":[' + b"0," * 100_000 + b"0]}", "application/json"),
    ):
        answer = api.send(IMPORT, body, content_type=media_type)
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")
    assert not PartnerImport.objects.exists()
    assert not PartnerImportPart.objects.exists()


def test_a_repeated_request_with_a_key_starts_one_import(api: ApiClient) -> None:
    body = {"records": [record(number) for number in range(MANY)]}
    first, again = (api.post(IMPORT, body, Idempotency_Key="monday") for _ in range(2))
    assert (again.status_code, again.headers["Location"]) == (202, first.headers["Location"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert PartnerImport.objects.count() == 1


def test_imports_are_listed_by_status_and_by_their_changes(api: ApiClient, actor: Actor) -> None:
    waiting, done = (str(factories.partner_import(actor, number)) for number in (1, 2))
    moment = quote(datetime.now(UTC).isoformat())
    work_on_partner_import(batch_id=done)

    def found(query: str = "") -> list[str]:
        return [row["id"] for row in api.get(f"{IMPORTS}?{query}").json()["data"]]

    assert found() == [waiting, done]
    assert found("status=queued") == [waiting]
    assert found(f"updated_since={moment}") == [done]
    assert api.get(f"{IMPORTS}?status=lost").status_code == 400


def test_another_workspaces_import_does_not_exist(api: ApiClient, rival: Actor) -> None:
    foreign = factories.partner_import(rival)
    assert api.get(f"{IMPORTS}/{foreign}").status_code == 404
    assert api.get(f"{IMPORTS}/{foreign}/problems").status_code == 404
    assert api.get(IMPORTS).json()["data"] == []


def test_who_may_read_partners_follows_an_import_and_sends_none(client: ClientFactory, actor: Actor) -> None:
    reader, identity = client(["read:partners"]), factories.partner_import(actor)
    assert reader.get(f"{IMPORTS}/{identity}").status_code == 200
    assert reader.post(IMPORT, {"records": [record(1)]}).json()["required_permission"] == "write:partners"
    assert client(["read:imports"]).get(IMPORTS).status_code == 403


# -- workers ---------------------------------------------------------------------------------------


def waiting_import(workspace: Workspace, count: int) -> PartnerImport:
    """An import in which every tenth record is wrong."""
    records = [record(number, **({"type": "gift"} if number % 10 == 0 else {})) for number in range(count)]
    return create_partner_import(actor=Actor.system(workspace), records=iter(records), file_format="json")


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_a_killed_import_goes_on_after_its_last_part_and_doubles_nothing(workspace: Workspace) -> None:
    batch = waiting_import(workspace, 6_000)
    for rows in (500, 2_500):
        kill_worker_at(batch, WORKER, rows=rows)
        batch.refresh_from_db()
        assert batch.status == PartnerImportStatus.IMPORTING
        assert Partner.objects.count() == batch.created == batch.rows_done * 9 // 10
        assert PartnerImportProblem.objects.count() == batch.failed == batch.rows_done // 10
        assert AuditEntry.objects.filter(action="partner.created").count() == batch.created
    sweep_after_the_lease(batch, importing.sweep)
    assert (batch.status, batch.rows_done, batch.created, batch.failed) == ("completed", 6_000, 5_400, 600)
    assert (batch.updated, batch.unchanged, Partner.objects.count()) == (0, 0, 5_400)
    assert list(PartnerImportProblem.objects.order_by("index").values_list("index", flat=True)) == list(
        range(0, 6_000, 10)
    )


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_one_import_once(workspace: Workspace) -> None:
    batch = waiting_import(workspace, 1_200)
    in_parallel(4, lambda _: importing.work_on(batch.pk))
    batch.refresh_from_db()
    assert (batch.status, batch.created, batch.updated, batch.failed) == ("completed", 1_080, 0, 120)
    assert AuditEntry.objects.filter(action="partner_import.completed").count() == 1


def test_a_slow_worker_whose_import_was_taken_over_changes_nothing_any_more(workspace: Workspace) -> None:
    batch = waiting_import(workspace, 40)
    slow = work.claim(PartnerImport, batch.pk, status=PartnerImportStatus.IMPORTING)
    assert slow is not None
    importing.sweep()
    assert Partner.objects.count() == 0
    PartnerImport.objects.update(leased_until=current_time() - timedelta(seconds=1))
    importing.sweep()
    with pytest.raises(work.LeaseLost):
        importing.run(slow)
    batch.refresh_from_db()
    assert (batch.status, batch.created, batch.rows_done) == ("completed", 36, 40)


def test_an_import_that_breaks_says_so_and_is_over(
    workspace: Workspace, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = waiting_import(workspace, 40)

    def broken(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(importing, "import_partners", broken)
    importing.sweep()
    shown = api.get(f"{IMPORTS}/{batch.pk}").json()["data"]
    assert (shown["status"], "ZeroDivisionError" in shown["failure"]) == ("failed", True)
    assert AuditEntry.objects.filter(action="partner_import.failed").count() == 1
    assert not PartnerImportPart.objects.exists()


def test_an_import_that_takes_every_worker_down_is_given_up(workspace: Workspace) -> None:
    batch = waiting_import(workspace, 40)
    PartnerImport.objects.update(attempts=work.ATTEMPTS_LIMIT)
    importing.sweep()
    batch.refresh_from_db()
    assert (batch.status, batch.failure[:8]) == (PartnerImportStatus.FAILED, "Given up")
