"""Model fields whose columns hold secrets: plaintext on the instance, ciphertext in the table, a mask elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn

from django.conf import settings
from django.core import checks
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.lookups import IsNull
from django.db.models.query_utils import DeferredAttribute

from alliantra.encryption import KeyRing, decrypt, encrypt, needs_rotation, place

MASK: Final = "•••"
"""What stands for a secret wherever a row is written down: audit entries, forms, dumps."""


def key_ring() -> KeyRing:
    """The ring of the settings: ENCRYPTION_KEYS, a KeyRing or the text of one. Raises InvalidKeyRing."""
    ring: Any = settings.ENCRYPTION_KEYS
    return ring if isinstance(ring, KeyRing) else _parsed(ring)


@lru_cache(maxsize=4)
def _parsed(text: str) -> KeyRing:
    return KeyRing.parse(text)


class StoredText(str):
    """What stands in the column: ciphertext, as read from the table or ready to be written to it."""

    __slots__ = ()


@dataclass(frozen=True, repr=False)
class _Held:
    """What an instance holds for one encrypted field: the plaintext, or what to decrypt and for which place."""

    plain: str | None = None
    stored: StoredText | None = None
    associated: str | None = None

    def __repr__(self) -> str:
        return MASK


class EncryptedAttribute(DeferredAttribute):
    """Plaintext on access. What was read from the table is decrypted at the first access, not before."""

    field: "EncryptedTextField"

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        """The plaintext, or None. Raises UnreadableSecret."""
        if instance is None:
            return self
        held = self.opened(instance)
        return held and held.plain

    def __set__(self, instance: Any, value: str | None) -> None:
        """Take plaintext, or what was read from the table for the row that the instance then is."""
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{self.field} takes a str or None, not {type(value).__name__}.")
        held: _Held | None
        match value:
            case None:
                held = None
            case StoredText():
                held = _Held(stored=value, associated=self.field.place_if_loaded(instance))
            case _:
                held = _Held(plain=value)
        instance.__dict__[self.field.attname] = held

    def held(self, instance: Any) -> _Held | None:
        """What the instance holds, loaded if it was deferred; None is null."""
        if self.field.attname not in instance.__dict__:
            self.__set__(instance, self._load(instance))
        held: _Held | None = instance.__dict__[self.field.attname]
        return held

    def opened(self, instance: Any) -> _Held | None:
        """What the instance holds, its plaintext known; None is null. Raises UnreadableSecret."""
        held = self.held(instance)
        if held is not None and held.plain is None and held.stored is not None:
            associated = held.associated or self.field.place_of(instance)
            held = _Held(decrypt(held.stored, key_ring(), associated), held.stored, associated)
            instance.__dict__[self.field.attname] = held
        return held

    def _load(self, instance: Any) -> StoredText | None:
        """The deferred column alone; Django's way would ask for the workspace of a second instance, too."""
        rows: models.QuerySet = models.QuerySet(type(instance), using=instance._state.db).filter(pk=instance.pk)
        return rows.values_list(self.field.attname, flat=True).get()


class EncryptedTextField(models.TextField):
    """A text kept as AES-256-GCM under the first of ENCRYPTION_KEYS, bound to table, column, row and workspace.

    Its model has a `workspace`, and a primary key that is known before saving. An instance gives and takes plain
    `str` or None; the empty text is encrypted too, so that nobody with access to the table can blank a secret
    unnoticed. `save()`, `save(update_fields=…)`, `bulk_create()`, `only()`, `defer()`, `select_related()` and
    `refresh_from_db()` work as with any field; a row saved under another id or in another workspace is encrypted
    anew. A row whose value is under an older key moves to the first one when it is saved.

    What differs, because only an instance knows the place that a value is bound to:

    - `values()`, `values_list()` and annotations give the stored text, a `StoredText`.
    - `update()` and `bulk_update()` take None alone; plaintext is refused with FieldError, as are Django's fixtures.
    - `bulk_create(update_conflicts=True)` must not name the field in `update_fields`: the value would be bound to
      the id of the row that was not inserted, and be unreadable.
    - No lookup but `isnull`, no index, no uniqueness, no default of the database.
    - Renaming the table or the column makes its values unreadable: encrypt them anew in the same migration.
    - A column added to a table with rows is null at first.

    `value_from_object()` gives MASK, or None for null. So audit snapshots, `dumpdata` and model forms never hold
    the secret, and an audit entry does not tell that it changed: the service's action has to. In a model form the
    mask stands for "as it was" when it comes back.
    """

    descriptor_class = EncryptedAttribute
    description = "Text, encrypted at rest"
    empty_strings_allowed = False

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Refuse what ciphertext cannot do, and models in which a value has no place."""
        return [*super().check(**kwargs), *self._check_column(), *self._check_place()]

    def _check_column(self) -> Sequence[checks.CheckMessage]:
        misused = self.unique or self.db_index or self.has_db_default()  # type: ignore[attr-defined]
        text = "An encrypted column has no index, no uniqueness and no default of the database."
        return [checks.Error(text, obj=self, id="alliantra.E001")] if misused else []

    def _check_place(self) -> Sequence[checks.CheckMessage]:
        names = [field.name for field in self.model._meta.concrete_fields]
        before = names[: names.index(self.name)]
        if {"workspace", self.model._meta.pk.name} <= set(before):
            return []
        text = "A model with an encrypted column declares its primary key and its workspace before it."
        return [checks.Error(text, obj=self, id="alliantra.E002")]

    def place_of(self, instance: models.Model) -> str:
        """Associated data of this field in a row. Raises ValueError if the row has no id or no workspace yet."""
        return self.place_at(instance.pk, instance.workspace_id)  # type: ignore[attr-defined]

    def place_if_loaded(self, instance: models.Model) -> str | None:
        """Associated data as far as the instance was loaded; asks the database for nothing."""
        row = instance.__dict__.get(self.model._meta.pk.attname)
        workspace = instance.__dict__.get("workspace_id")
        return None if row is None or workspace is None else self.place_at(row, workspace)

    def place_at(self, row: Any, workspace: Any) -> str:
        """Associated data in the row of that id; however an id is spelled, it is the same place."""
        if row is None or workspace is None:
            raise ValueError(f"{self} needs the id and the workspace of its row before it can be encrypted.")
        meta: Any = self.model._meta
        identities = meta.pk.to_python(row), meta.get_field("workspace").to_python(workspace)
        return place(meta.db_table, str(self.column), *map(str, identities))

    @property
    def _attribute(self) -> EncryptedAttribute:
        return getattr(self.model, self.attname)

    def pre_save(self, model_instance: models.Model, add: bool) -> StoredText | None:  # noqa: FBT001
        """What to write: the stored text if it is readable, in its place and under the first key; else a new one.

        Raises UnreadableSecret before it would write back what nobody can read.
        """
        held = self._attribute.opened(model_instance)
        if held is None or held.plain is None:
            return None
        ring, associated = key_ring(), self.place_of(model_instance)
        if held.stored is None or held.associated != associated or needs_rotation(held.stored, ring):
            held = _Held(held.plain, StoredText(encrypt(held.plain, ring, associated)), associated)
            model_instance.__dict__[self.attname] = held
        return held.stored

    def get_prep_value(self, value: Any) -> str | None:
        """Parameter for psycopg: ciphertext or null, never anything else."""
        if value is None or isinstance(value, StoredText):
            return None if value is None else str(value)
        raise FieldError(f"{self} is encrypted when a row is saved: assign it and save the row, or bulk_create rows.")

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> StoredText | None:
        """Value read from a row, not yet decrypted."""
        return None if value is None else StoredText(value)

    def value_from_object(self, obj: models.Model) -> str | None:
        """The mask, or None for null; without decrypting."""
        return None if self._attribute.held(obj) is None else MASK

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Take what a model form was sent, unless it is the mask that the form had shown."""
        if data != MASK:
            super().save_form_data(instance, data)

    def get_lookup(self, lookup_name: str) -> type[IsNull]:
        """`isnull`; every other lookup would compare ciphertexts, of which no two are equal."""
        return IsNull if lookup_name == "isnull" else self._refuse(lookup_name)

    def get_transform(self, lookup_name: str) -> NoReturn:
        """None: there is nothing to learn from a ciphertext."""
        self._refuse(lookup_name)

    def _refuse(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self} is encrypted and cannot be searched by {lookup_name}; isnull is all it answers.")
