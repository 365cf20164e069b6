"""Payee groups and their members."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0001_initial"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayeeGroup",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("external_id", models.CharField(blank=True, max_length=200, null=True)),
                ("name", models.CharField(max_length=200)),
                ("metadata", alliantra.fields.ExactJSONField(blank=True, default=dict)),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["workspace", "created_at", "id"], name="payeegroup_created")],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "external_id"), name="payeegroup_external_id"),
                    models.CheckConstraint(
                        condition=models.Q(("external_id", ""), _negated=True), name="payeegroup_external_id_not_blank"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayeeGroupMember",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("weight", models.DecimalField(decimal_places=6, max_digits=15)),
                ("position", models.PositiveIntegerField()),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="partners.payeegroup",
                    ),
                ),
                (
                    "payee",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="partners.payee",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["workspace", "payee"], name="payeegroupmember_of_payee")],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "group", "payee"), name="payeegroupmember_payee"),
                    models.CheckConstraint(
                        condition=models.Q(("weight__gt", 0)), name="payeegroupmember_weight_above_zero"
                    ),
                ],
            },
        ),
    ]
