"""What the type of a report is called."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0003_gone_rows"),
    ]

    operations = [
        migrations.AlterField(
            model_name="report",
            name="type",
            field=models.CharField(
                choices=[
                    ("roi", "ROI"),
                    ("channel_breakdown", "Channel Breakdown"),
                    ("partner_ranking", "Partner Ranking"),
                    ("forecast", "Forecast"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="reportschedule",
            name="type",
            field=models.CharField(
                choices=[
                    ("roi", "ROI"),
                    ("channel_breakdown", "Channel Breakdown"),
                    ("partner_ranking", "Partner Ranking"),
                    ("forecast", "Forecast"),
                ],
                max_length=20,
            ),
        ),
    ]
