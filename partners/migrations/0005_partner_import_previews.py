"""Partner imports that are looked through before they are done."""

from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0004_change_times"),
    ]

    operations = [
        migrations.AddField(
            model_name="partnerimport",
            name="confirmed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="partnerimport",
            name="file_name",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="partnerimport",
            name="requested_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="partnerimport",
            name="sample",
            field=alliantra.fields.ExactJSONField(default=list),
        ),
        migrations.AddField(
            model_name="partnerimportpart",
            name="numbers",
            field=alliantra.fields.ExactJSONField(default=list),
        ),
        migrations.AddField(
            model_name="partnerimportproblem",
            name="row",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="partnerimport",
            name="status",
            field=models.CharField(
                choices=[
                    ("analysing", "Analysing"),
                    ("ready", "Ready"),
                    ("queued", "Queued"),
                    ("importing", "Importing"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                ],
                default="queued",
                editable=False,
                max_length=10,
            ),
        ),
    ]
