"""Groups, tiers and customer windows in rule versions; items by allocation, and of fallback percentages."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0002_payee_groups"),
        ("revenues", "0006_customers"),
        ("rules", "0002_append_only"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="calculationitem",
            name="item_event_payee",
        ),
        migrations.AddField(
            model_name="calculationitem",
            name="allocation_index",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="first_days_of_customer",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="tier_measure",
            field=models.CharField(
                choices=[("revenue", "Revenue"), ("count", "Count")], default="revenue", max_length=7
            ),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="tier_mode",
            field=models.CharField(
                choices=[("graduated", "Graduated"), ("volume", "Volume")], default="graduated", max_length=9
            ),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="tier_window",
            field=models.CharField(
                choices=[
                    ("run", "Run"),
                    ("month", "Month"),
                    ("quarter", "Quarter"),
                    ("year", "Year"),
                    ("lifetime", "Lifetime"),
                ],
                default="run",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="calculationitem",
            name="rule_version",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="rules.ruleversion",
            ),
        ),
        migrations.AlterField(
            model_name="calculationitem",
            name="tie_break",
            field=models.CharField(
                choices=[
                    ("only_match", "Only Match"),
                    ("priority", "Priority"),
                    ("specificity", "Specificity"),
                    ("valid_from", "Valid From"),
                    ("age", "Age"),
                    ("fallback", "Fallback"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="calculationitem",
            constraint=models.UniqueConstraint(
                fields=("workspace", "run", "event", "allocation_index", "payee"), name="item_event_allocation_payee"
            ),
        ),
    ]
