"""Endpoints, deliveries and attempts."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import alliantra.encrypted_fields
import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0001_initial"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="event_type",
            field=models.CharField(
                choices=[
                    ("partner.status_changed", "Partner Status Changed"),
                    ("ai.recommendation_created", "Recommendation Created"),
                    ("report.ready", "Report Ready"),
                    ("revenue.anomaly_detected", "Anomaly Detected"),
                    ("run.locked", "Run Locked"),
                    ("statement.ready", "Statement Ready"),
                    ("rule.updated", "Rule Updated"),
                    ("webhook.test", "Test"),
                ],
                max_length=40,
            ),
        ),
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("url", models.CharField(max_length=2000)),
                (
                    "event_types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), blank=True, default=list, size=None
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=500)),
                ("rate_per_second", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("disabled", "Disabled")], default="active", max_length=8
                    ),
                ),
                ("disabled_reason", models.CharField(blank=True, max_length=200)),
                ("disabled_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("failing_since", models.DateTimeField(blank=True, editable=False, null=True)),
                ("secret", alliantra.encrypted_fields.EncryptedTextField()),
                ("previous_secret", alliantra.encrypted_fields.EncryptedTextField(blank=True, null=True)),
                ("previous_secret_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
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
                "indexes": [models.Index(fields=["workspace", "created_at", "id"], name="endpoint_created")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("rate_per_second", None), ("rate_per_second__gt", 0), _connector="OR"),
                        name="endpoint_rate_above_zero",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="pending",
                        max_length=9,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("lease", models.UUIDField(null=True)),
                ("leased_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("last_status_code", models.PositiveIntegerField(null=True)),
                ("last_error", models.CharField(blank=True, max_length=20)),
                ("delivered_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "message",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.message",
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
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["endpoint", "next_attempt_at", "id"],
                        name="delivery_due",
                    ),
                    models.Index(
                        condition=models.Q(("leased_until__isnull", False), ("status", "pending")),
                        fields=["endpoint", "leased_until"],
                        name="delivery_leased",
                    ),
                    models.Index(fields=["workspace", "endpoint", "created_at", "id"], name="delivery_of_endpoint"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "message", "endpoint"), name="delivery_message_endpoint"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "pending"), _negated=True),
                            ("next_attempt_at__isnull", False),
                            _connector="OR",
                        ),
                        name="delivery_pending_is_due",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("milliseconds", models.PositiveIntegerField()),
                ("status_code", models.PositiveIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=20)),
                ("response", models.TextField(blank=True)),
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
                (
                    "delivery",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tries",
                        to="webhooks.delivery",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["workspace", "delivery", "number"], name="attempt_delivery"),
                    models.Index(fields=["workspace", "endpoint", "started_at"], name="attempt_endpoint"),
                ],
            },
        ),
    ]
