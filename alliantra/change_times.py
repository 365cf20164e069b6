"""When rows changed, by the database's clock and under the lock of the write, and rows that know what was stored."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from django.db import connections, models, transaction
from django.db.models.sql import UpdateQuery

_READ_AT_ONCE: Final = 1_000


class ChangeTimeField(models.DateTimeField):
    """When a row changed last or, with rows that never change, was written; a trigger sets it, whatever is sent.

    A clock that is read before the statement, or on another machine, may name a moment that readers have passed by.
    The trigger runs when the table's lock is held, which is what `commits.settled_until` goes by. A migration gives
    it to the table: BEFORE INSERT OR UPDATE OF the column, `alliantra_take_time('the column')`. A statement that does
    not name the column leaves it as it is: a claim, a lease or a count is no change of the row. To name it is to mean a
    change, even if the sender's clock happens to say what is stored already: old and new are not compared.
    """

    db_returning = True


class TimedModel(models.Model):
    """Base of rows that may have a ChangeTimeField: once saved, they have the moment that was stored."""

    class Meta:
        abstract = True

    def _do_update(self, *args: Any, **kwargs: Any) -> Any:
        """Django's statement, with what the trigger made of the times: Django 5.2 returns them from inserts only."""
        base_qs, using, pk_val, values, *_ = args
        times = [field for field, _, _ in values if isinstance(field, ChangeTimeField)]
        if not times:
            return super()._do_update(*args, **kwargs)
        query: Any = base_qs.filter(pk=pk_val).query.chain(UpdateQuery)
        query.add_update_fields(values)
        statement, parameters = query.get_compiler(using).as_sql()
        names = ", ".join(f'"{field.column}"' for field in times)
        with connections[using].cursor() as cursor:
            cursor.execute(f"{statement} RETURNING {names}", parameters)
            stored = cursor.fetchone()
        if stored is None:
            return False
        for field, moment in zip(times, stored, strict=True):
            setattr(self, field.attname, moment)
        return True


class TimedQuerySet(models.QuerySet[Any]):
    """Writes of many rows that may have a ChangeTimeField."""

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None) -> int:
        """As Django's; the rows count as changed, and have the moments that were stored."""
        rows, names = list(objs), _change_times(self.model)
        if not names:
            return super().bulk_update(rows, fields, batch_size)
        with transaction.atomic(using=self.db, savepoint=False):
            count = super().bulk_update(rows, sorted({*fields, *names}), batch_size)
            self._read_times(rows, names)
        return count

    def _read_times(self, rows: Iterable[Any], names: Sequence[str]) -> None:
        remaining = iter(rows)
        while some := {row.pk: row for row in islice(remaining, _READ_AT_ONCE)}:
            found: Any = models.QuerySet(self.model, using=self.db).filter(pk__in=some)
            for key, *moments in found.values_list("pk", *names):
                for name, moment in zip(names, moments, strict=True):
                    setattr(some[key], name, moment)


def _change_times(model: type[models.Model]) -> list[str]:
    """Names of the columns that move with every change of a row."""
    return [
        field.attname for field in model._meta.concrete_fields if isinstance(field, ChangeTimeField) and field.auto_now
    ]
