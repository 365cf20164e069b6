"""Imports of files: the batch with its preview and its progress, the file itself, and what is wrong with its rows."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.work import LeasedWork
from revenues.models.products import RevenueSource


class ImportStatus(models.TextChoices):
    """State of an import."""

    ANALYSING = "analysing"
    NEEDS_MAPPING = "needs_mapping"
    READY = "ready"
    IMPORTING = "importing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ImportBatch(LeasedWork):
    """One row: one uploaded file on its way into the ledger, with the template and mapping it was read by.

    `columns` lists the file's columns with samples; `template` keeps what the template said then;
    `mapping` is field → source in the long form of imports.mapping; `reading` how dates and amounts are
    meant; `findings` what concerns the file as a whole; `totals` what its rows add up to.
    """

    WAITING = (ImportStatus.ANALYSING, ImportStatus.IMPORTING)

    number = models.PositiveIntegerField()
    source = models.ForeignKey(RevenueSource, on_delete=models.PROTECT, db_index=False, related_name="+")
    status = models.CharField(max_length=14, choices=ImportStatus.choices, default=ImportStatus.ANALYSING)
    failure_reason = models.CharField(max_length=500, blank=True)
    file_name = models.CharField(max_length=255)
    file_size = models.BigIntegerField()
    file_digest = models.CharField(max_length=64)
    file_format = models.CharField(max_length=4, blank=True)
    encoding = models.CharField(max_length=12, blank=True)
    delimiter = models.CharField(max_length=1, blank=True)
    sheet = models.CharField(max_length=100, blank=True)
    is_detected = models.BooleanField(default=True)
    template = ExactJSONField(default=dict)
    options = ExactJSONField(default=dict)
    overrides = ExactJSONField(default=dict)
    mapping = ExactJSONField(default=dict)
    reading = ExactJSONField(default=dict)
    columns = ExactJSONField(default=list)
    findings = ExactJSONField(default=list)
    totals = ExactJSONField(default=list)
    sample = ExactJSONField(default=list)
    left_out = ExactJSONField(default=dict)
    rows = models.BigIntegerField(default=0)
    importable_rows = models.BigIntegerField(default=0)
    duplicate_rows = models.BigIntegerField(default=0)
    left_out_rows = models.BigIntegerField(default=0)
    problem_rows = models.BigIntegerField(default=0)
    created_rows = models.BigIntegerField(default=0)
    requested_by = models.CharField(max_length=200, blank=True)
    confirmed_by = models.CharField(max_length=200, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "import"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "number"], name="import_number"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="import_created"),
            models.Index(fields=["workspace", "file_digest"], name="import_digest"),
            models.Index(
                fields=["workspace", "status"],
                condition=Q(status__in=["analysing", "importing"]),
                name="import_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"Import {self.number}"

    @property
    def is_changeable(self) -> bool:
        """Whether mapping and options can still change."""
        return self.status in {ImportStatus.NEEDS_MAPPING, ImportStatus.READY}

    @property
    def is_under_way(self) -> bool:
        """Whether a worker has something to do."""
        return self.status in self.WAITING

    @property
    def progress(self) -> int:
        """Whole percent of the rows done."""
        if self.status == ImportStatus.COMPLETED:
            return 100
        return min(99, 100 * self.rows_done // self.rows_expected) if self.rows_expected else 0

    def count_anew(self) -> None:
        """Forget what was counted, but for what the preview found importable; not saved."""
        self.duplicate_rows = self.left_out_rows = self.problem_rows = self.created_rows = self.rows_done = 0
        self.left_out, self.totals = {}, []


class ImportPart(WorkspaceModel):
    """One row: a part of an uploaded file, so that any worker can go on with it; kept for a while as evidence."""

    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, db_index=False, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "batch", "number"], name="importpart_number"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at"], name="importpart_created"),
        ]

    def __str__(self) -> str:
        return f"Part {self.number} of {self.batch}"


class ImportProblem(WorkspaceModel):
    """One row: what is wrong with one place of an imported file, or why a row of it was skipped."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, db_index=False, related_name="problems")
    row = models.PositiveIntegerField()
    column = models.CharField(max_length=210, blank=True)
    field = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=30)
    detail = models.CharField(max_length=500)
    value = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "batch", "row", "id"], name="importproblem_row"),
        ]

    def __str__(self) -> str:
        return f"Row {self.row}: {self.detail}"
