"""Imports of many partners at once."""

from typing import ClassVar

from django.db import models

from alliantra.change_times import ChangeTimeField
from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.work import LeasedWork


class PartnerImportStatus(models.TextChoices):
    """How far an import of partners is."""

    ANALYSING = "analysing"
    READY = "ready"
    QUEUED = "queued"
    IMPORTING = "importing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PartnerImport(LeasedWork):
    """One row: many partners that were sent at once. Which of them exist already is found out one by one.

    What a program sends is `queued` at once. A file is looked through first: while it is `ready`, counts, `sample`
    and problems say what it would do; once it is confirmed, what it did. `rows_done` and `rows_expected` count
    records. `actor` is who sent or confirmed them, as the audit log names it; `requested_by` who uploaded the file.
    """

    WAITING = (PartnerImportStatus.ANALYSING, PartnerImportStatus.QUEUED, PartnerImportStatus.IMPORTING)

    status = models.CharField(
        max_length=10, choices=PartnerImportStatus.choices, default=PartnerImportStatus.QUEUED, editable=False
    )
    format = models.CharField(max_length=6)
    file_name = models.CharField(max_length=255, blank=True)
    requested_by = models.CharField(max_length=200, blank=True)
    actor = ExactJSONField(default=dict)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    sample = ExactJSONField(default=list)
    failure = models.CharField(max_length=500, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = []
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="partnerimport_created"),
        ]

    def __str__(self) -> str:
        return self.file_name or f"{self.rows_expected:,} partners sent over the API"

    @property
    def is_under_way(self) -> bool:
        """Whether a worker has something to do."""
        return self.status in self.WAITING

    @property
    def progress(self) -> int:
        """Whole percent of the records done."""
        if self.status == PartnerImportStatus.COMPLETED:
            return 100
        return min(99, 100 * self.rows_done // self.rows_expected) if self.rows_expected else 0

    def count_anew(self) -> None:
        """Forget what was counted; not saved."""
        self.rows_done = self.created = self.updated = self.unchanged = self.failed = 0
        self.sample = []


class PartnerImportPart(WorkspaceModel):
    """One row: up to some hundred records of an import, in the order they were sent, as they were read.

    `numbers` are those of their rows in the file, for what came in a file.
    """

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(PartnerImport, on_delete=models.CASCADE, db_index=False, related_name="parts")
    position = models.PositiveIntegerField()
    records = ExactJSONField()
    numbers = ExactJSONField(default=list)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "batch", "position"], name="partnerimportpart_position"),
        ]

    def __str__(self) -> str:
        return f"from record {self.position}"


class PartnerImportProblem(WorkspaceModel):
    """One row: a record of an import that was refused, or would be, and why.

    `index` is its place in what was sent, from 0; `row` its row in the file, for what came in a file.
    """

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(PartnerImport, on_delete=models.CASCADE, db_index=False, related_name="problems")
    index = models.PositiveIntegerField()
    row = models.PositiveIntegerField(null=True)
    external_id = models.CharField(max_length=200, blank=True)
    problem = ExactJSONField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "batch", "index"], name="partnerimportproblem_index"),
        ]

    def __str__(self) -> str:
        return f"record {self.index}"
