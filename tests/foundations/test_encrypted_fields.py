"""Encrypted columns: plaintext on instances, ciphertext in the table, a mask elsewhere; keys rotate online."""

import base64
import copy
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.forms import modelform_factory
from django.test.utils import CaptureQueriesContext, isolate_apps

from alliantra.encrypted_fields import MASK, EncryptedTextField, StoredText, key_ring
from alliantra.encryption import KeyRing, UnreadableSecret
from alliantra.fields import uuid7
from alliantra.management.commands import rotate_encryption_keys
from alliantra.workspaces.audit import snapshot
from alliantra.workspaces.models import Workspace, WorkspaceModel, WorkspaceQuerySet

OLD, NEW = (f"{version}:{base64.b64encode(bytes([version]) * 32).decode()}" for version in (1, 2))
BOTH = f"{NEW},{OLD}"


with isolate_apps("webhooks"):

    class Keepsake(WorkspaceModel):
        """One row: something with a secret, in a table that only these tests have."""

        name = models.CharField(max_length=20, default="")
        secret = EncryptedTextField(null=True)
        contact = EncryptedTextField(default="", blank=True)
        after = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")

        objects: ClassVar[Any] = WorkspaceQuerySet.as_manager()

        class Meta:
            app_label = "webhooks"

        def __str__(self) -> str:
            return self.name


@pytest.fixture(scope="module", autouse=True)
def _table(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    apps.register_model("webhooks", Keepsake)
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.create_model(Keepsake)
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Keepsake)
    del apps.all_models["webhooks"]["keepsake"]
    apps.clear_cache()


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = BOTH


@pytest.fixture
def kept(workspace: Workspace) -> Keepsake:
    """A row with both secrets, as saved."""
    return Keepsake.objects.create(workspace=workspace, name="kept", secret="whsec_1", contact="ann@acme.example")


def stored(row: Keepsake, column: str = "secret") -> str:
    """What stands in the table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM webhooks_keepsake WHERE id = %s", [row.pk])  # noqa: S608 - our own names
        return cursor.fetchone()[0]


def put(row: Keepsake, text: str | None, column: str = "secret") -> None:
    """Write to the table past the field."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE webhooks_keepsake SET {column} = %s WHERE id = %s", [text, row.pk])  # noqa: S608


def read(row: Keepsake) -> Keepsake:
    """The row anew."""
    return Keepsake.objects.get(pk=row.pk)


def test_the_table_holds_ciphertext_and_the_instance_plaintext(kept: Keepsake) -> None:
    assert stored(kept).startswith("a1:2:")
    assert "whsec" not in stored(kept) + stored(kept, "contact")
    assert (kept.secret, kept.contact) == ("whsec_1", "ann@acme.example")
    assert (read(kept).secret, read(kept).contact) == ("whsec_1", "ann@acme.example")


def test_null_stays_null_and_the_empty_text_is_encrypted(workspace: Workspace) -> None:
    row = Keepsake.objects.create(workspace=workspace)
    assert stored(row) is None
    assert stored(row, "contact").startswith("a1:2:")
    assert (read(row).secret, read(row).contact) == (None, "")


@pytest.mark.parametrize("text", ["", "whsec_plain", "a1:2:", "a1:9:AAAA", "•••"])
def test_what_somebody_wrote_into_the_table_is_an_error_and_never_a_plaintext(kept: Keepsake, text: str) -> None:
    put(kept, text)
    row = read(kept)
    for use in (lambda: row.secret, row.save, row.refresh_from_db):
        with pytest.raises(UnreadableSecret), transaction.atomic():
            use()
    assert stored(kept) == text
    row.save(update_fields=["name", "updated_at"])


def test_a_value_moved_to_another_row_column_or_workspace_is_an_error(
    kept: Keepsake, rival_workspace: Workspace
) -> None:
    other = Keepsake.objects.create(workspace=kept.workspace, secret="whsec_2")
    put(other, stored(kept))
    put(kept, stored(kept), "contact")
    for use in (lambda: read(other).secret, lambda: read(kept).contact):
        with pytest.raises(UnreadableSecret):
            use()
    assert read(kept).secret == "whsec_1"
    Keepsake.objects.filter(pk=kept.pk).update(workspace=rival_workspace)
    with pytest.raises(UnreadableSecret):
        _ = read(kept).secret


def test_saving_writes_what_was_assigned(kept: Keepsake) -> None:
    row = read(kept)
    row.secret, row.contact = "whsec_2", "bob@acme.example"
    row.save(update_fields=["secret"])
    assert (row.secret, read(row).secret, read(row).contact) == ("whsec_2", "whsec_2", "ann@acme.example")
    row.save()
    row.refresh_from_db()
    assert (row.secret, row.contact) == ("whsec_2", "bob@acme.example")
    row.secret = None
    row.save()
    assert stored(row) is None
    Keepsake.objects.update_or_create(pk=row.pk, defaults={"secret": "whsec_3"})
    kept.refresh_from_db(fields=["secret"])
    assert (kept.secret, kept.contact) == ("whsec_3", "ann@acme.example")


def test_saving_what_was_only_loaded_leaves_the_column_as_it_is(kept: Keepsake) -> None:
    before = stored(kept), stored(kept, "contact")
    for row in (read(kept), kept):
        row.name = "renamed"
        row.save()
        assert (stored(kept), stored(kept, "contact")) == before


def test_rows_made_at_once_are_encrypted_each_for_itself(workspace: Workspace) -> None:
    rows = [Keepsake(workspace=workspace, secret="same", name=str(number)) for number in range(3)]
    Keepsake.objects.bulk_create(rows)
    assert len({stored(row) for row in rows}) == 3
    assert [row.secret for row in Keepsake.objects.all()] == ["same"] * 3


def test_deferred_and_related_values_are_loaded_like_any_other(kept: Keepsake) -> None:
    after = Keepsake.objects.create(workspace=kept.workspace, after=kept, secret=None)
    with CaptureQueriesContext(connection) as queries:
        assert Keepsake.objects.select_related("after").get(pk=after.pk).after.secret == "whsec_1"
    assert len(queries) == 1
    deferred = Keepsake.objects.defer("secret").get(pk=kept.pk)
    with CaptureQueriesContext(connection) as queries:
        assert (deferred.secret, deferred.secret) == ("whsec_1", "whsec_1")
    assert len(queries) == 1
    assert Keepsake.objects.only("secret").get(pk=kept.pk).secret == "whsec_1"
    assert Keepsake.objects.only("secret", "workspace").get(pk=kept.pk).secret == "whsec_1"
    with CaptureQueriesContext(connection) as queries:
        Keepsake.objects.defer("secret").get(pk=kept.pk).save()
    assert "secret" not in queries[-1]["sql"]


@pytest.mark.parametrize("opened", [True, False])
def test_a_copy_under_another_id_is_encrypted_anew(kept: Keepsake, opened: bool) -> None:  # noqa: FBT001
    row = read(kept)
    assert not opened or row.secret
    twin = copy.copy(row)
    twin.pk = uuid7()
    twin._state.adding = True
    twin.save()
    assert stored(twin) != stored(kept)
    assert (read(twin).secret, read(kept).secret, row.secret) == ("whsec_1",) * 3
    row.save()
    assert read(kept).secret == "whsec_1"


def test_a_row_that_moves_to_another_workspace_through_its_instance_stays_readable(
    kept: Keepsake, rival_workspace: Workspace
) -> None:
    row = read(kept)
    row.workspace = rival_workspace
    row.save()
    assert read(kept).secret == "whsec_1"


def test_an_id_means_the_same_place_however_it_is_spelled(workspace: Workspace) -> None:
    spelled: Any = "{" + uuid7().hex.upper() + "}"
    row = Keepsake(id=spelled, workspace_id=str(workspace.pk).upper(), secret="whsec_1")
    row.save()
    assert Keepsake.objects.get(pk=UUID(spelled)).secret == "whsec_1"


def test_values_are_the_stored_text(kept: Keepsake) -> None:
    [value] = Keepsake.objects.values_list("secret", flat=True)
    assert isinstance(value, StoredText)
    assert value == stored(kept) == Keepsake.objects.values("secret")[0]["secret"]
    kept.contact = value
    with pytest.raises(UnreadableSecret):
        kept.save()


def test_plaintext_reaches_the_table_on_no_other_way(kept: Keepsake) -> None:
    rows = Keepsake.objects.filter(pk=kept.pk)
    for write in (lambda: rows.update(secret="plain"), lambda: Keepsake.objects.bulk_update([kept], ["secret"])):
        with pytest.raises(FieldError, match="is encrypted when a row is saved"), transaction.atomic():
            write()
    [dumped] = serializers.deserialize("json", serializers.serialize("json", rows).replace(str(kept.pk), str(uuid7())))
    with pytest.raises(FieldError), transaction.atomic():
        dumped.save()
    rows.update(secret=None)
    assert read(kept).secret is None
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(contact=None)


def test_no_lookup_but_isnull_is_answered(kept: Keepsake) -> None:
    assert Keepsake.objects.filter(secret__isnull=False).count() == 1
    assert not Keepsake.objects.exclude(secret__isnull=False).exists()
    for lookup in (
        "secret",
        "secret__exact",
        "secret__in",
        "secret__startswith",
        "secret__regex",
        "secret__length__gt",
    ):
        with pytest.raises(FieldError, match="cannot be searched by"):
            Keepsake.objects.filter(**{lookup: "whsec_1"}).exists()


def test_only_texts_are_taken_and_only_for_a_row_that_has_a_place(db: None) -> None:
    for wrong in (1, b"bytes", models.F("name")):
        with pytest.raises(TypeError, match="takes a str or None"):
            Keepsake(secret=wrong)
    with pytest.raises(ValueError, match="needs the id and the workspace"):
        Keepsake(secret="whsec_1").save()


def test_a_secret_shows_in_no_description_of_its_row(kept: Keepsake) -> None:
    for row in (kept, read(kept)):
        shown = f"{row!r} {vars(row)} {snapshot(row)} {serializers.serialize('json', [row])}"
        assert "whsec_1" not in shown
        assert "ann@" not in shown
        assert stored(kept) not in shown
        assert snapshot(row)["secret"] == MASK
    assert snapshot(Keepsake(workspace=kept.workspace))["secret"] is None


def test_a_mask_that_a_form_had_shown_leaves_the_secret_as_it_was(kept: Keepsake) -> None:
    form = modelform_factory(Keepsake, fields=["name", "secret", "contact"])
    assert "whsec_1" not in str(form(instance=kept))
    sent = form({"name": "renamed", "secret": MASK, "contact": "new"}, instance=read(kept))
    assert sent.is_valid()
    assert sent.changed_data == ["name", "contact"]
    sent.save()
    assert (read(kept).secret, read(kept).contact) == ("whsec_1", "new")


@pytest.mark.parametrize("options", [{"unique": True}, {"db_index": True}, {"db_default": ""}])
@isolate_apps("webhooks")
def test_a_column_that_ciphertext_cannot_serve_is_refused(options: dict[str, Any]) -> None:
    class Misused(WorkspaceModel):
        secret = EncryptedTextField(**options)

        class Meta:
            app_label = "webhooks"

    assert [error.id for error in Misused._meta.get_field("secret").check()] == ["alliantra.E001"]


@isolate_apps("webhooks")
def test_a_model_in_which_a_value_has_no_place_is_refused() -> None:
    class Homeless(models.Model):  # noqa: DJ008 - never seen
        secret = EncryptedTextField()

        class Meta:
            app_label = "webhooks"

    assert [error.id for error in Homeless._meta.get_field("secret").check()] == ["alliantra.E002"]
    assert not Keepsake._meta.get_field("secret").check()


def test_the_ring_of_the_settings_is_a_ring_or_its_text(settings: Any) -> None:
    assert key_ring() == KeyRing.parse(BOTH)
    settings.ENCRYPTION_KEYS = ring = KeyRing.parse(NEW)
    assert key_ring() is ring


def rotate(*arguments: str) -> str:
    """What the command says."""
    said = io.StringIO()
    call_command("rotate_encryption_keys", *arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def old_rows(workspace: Workspace, rival_workspace: Workspace, settings: Any) -> list[Keepsake]:
    """Eleven rows under the old key, in two workspaces; the new key is first by now."""
    settings.ENCRYPTION_KEYS = OLD
    owners = [workspace, rival_workspace]
    rows = [Keepsake(workspace=owners[n % 2], secret=f"whsec_{n}" if n else None, contact=str(n)) for n in range(11)]
    Keepsake.objects.bulk_create(rows)
    settings.ENCRYPTION_KEYS = BOTH
    return rows


def test_saving_a_row_moves_it_to_the_first_key(old_rows: list[Keepsake]) -> None:
    row = read(old_rows[1])
    row.save()
    assert stored(row).startswith("a1:2:")
    assert stored(old_rows[2]).startswith("a1:1:")


@pytest.mark.parametrize("batch_size", ["1", "3", "200"])
def test_after_rotation_the_old_key_is_not_needed(old_rows: list[Keepsake], settings: Any, batch_size: str) -> None:
    unchanged = read(old_rows[0]).updated_at
    said = rotate("--batch-size", batch_size)
    assert "webhooks.Keepsake (secret, contact): 11 encrypted anew, 0 unreadable, 0 left." in said
    assert "Every value is under key 2." in said
    settings.ENCRYPTION_KEYS = NEW
    values = {(row.secret, row.contact) for row in Keepsake.objects.all()}
    assert values == {(f"whsec_{n}" if n else None, str(n)) for n in range(11)}
    assert read(old_rows[0]).updated_at == unchanged
    assert ": 0 encrypted anew, 0 unreadable, 0 left." in rotate()


def test_unreadable_rows_stay_as_they_are_and_are_counted(old_rows: list[Keepsake]) -> None:
    put(old_rows[3], "plain")
    put(old_rows[4], stored(old_rows[5]))
    moved = stored(old_rows[4])
    said = io.StringIO()
    with pytest.raises(CommandError, match="2 rows are not under key 2: keep the older keys"):
        call_command("rotate_encryption_keys", stdout=said)
    assert "9 encrypted anew, 2 unreadable, 0 left" in said.getvalue()
    assert (stored(old_rows[3]), stored(old_rows[4])) == ("plain", moved)
    assert read(old_rows[4]).contact == "4"


def test_a_batch_has_at_least_one_row() -> None:
    with pytest.raises(CommandError, match="at least 1"):
        call_command("rotate_encryption_keys", "--batch-size", "0")


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_is_changing_is_waited_for_by_nobody_and_rotated_later(
    old_rows: list[Keepsake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotate_encryption_keys, "PAUSE_SECONDS", 0.01)
    held, finish = Event(), Event()

    def change() -> None:
        with transaction.atomic():
            row = Keepsake.objects.select_for_update().get(pk=old_rows[1].pk)
            held.set()
            finish.wait(60)
            row.secret = "changed meanwhile"
            row.save()
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        change_done = pool.submit(change)
        assert held.wait(60)
        with pytest.raises(CommandError, match="1 rows are not under key 2"):
            rotate()
        finish.set()
        change_done.result()
    assert read(old_rows[1]).secret == "changed meanwhile"
    assert "0 encrypted anew, 0 unreadable, 0 left" in rotate()
