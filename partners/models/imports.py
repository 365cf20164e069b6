"""Imports of many partners at once."""

from typing import ClassVar

from django.db import models

from alliantra.change_times import ChangeTimeField
from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.work import LeasedWork


class PartnerImportStatus(models.TextChoices):
    """How far an import of partners is."""

    QUEUED = "queued"
    IMPORTING = "importing"
    COMPLETED = "completed"
    FAILED = "failed"


class PartnerImport(LeasedWork):
    """One row: many partners that were sent at once. Which of them exist already is found out one by one.

    `rows_done` and `rows_expected` count records. `actor` is who sent them, as the audit log names it.
    """

    WAITING = (PartnerImportStatus.QUEUED, PartnerImportStatus.IMPORTING)

    status = models.CharField(
        max_length=10, choices=PartnerImportStatus.choices, default=PartnerImportStatus.QUEUED, editable=False
    )
    format = models.CharField(max_length=6)
    actor = ExactJSONField(default=dict)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=500, blank=True)
    finished_at = models.DateTimeField(null=True)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = []
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="partnerimport_created"),
        ]

    def __str__(self) -> str:
        return f"{self.rows_expected} partners"


class PartnerImportPart(WorkspaceModel):
    """One row: up to some hundred records of an import, in the order they were sent, as they were read."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(PartnerImport, on_delete=models.CASCADE, db_index=False, related_name="parts")
    position = models.PositiveIntegerField()
    records = ExactJSONField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "batch", "position"], name="partnerimportpart_position"),
        ]

    def __str__(self) -> str:
        return f"from record {self.position}"


class PartnerImportProblem(WorkspaceModel):
    """One row: a record of an import that was refused, and why."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(PartnerImport, on_delete=models.CASCADE, db_index=False, related_name="problems")
    index = models.PositiveIntegerField()
    external_id = models.CharField(max_length=200, blank=True)
    problem = ExactJSONField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "batch", "index"], name="partnerimportproblem_index"),
        ]

    def __str__(self) -> str:
        return f"record {self.index}"
