"""An index by customer, for what depends on when one bought first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0002_payee_groups"),
        ("revenues", "0005_resolve"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="revenueevent",
            index=models.Index(
                condition=models.Q(("customer_id", ""), _negated=True),
                fields=["workspace", "customer_id", "occurred_at"],
                name="event_customer",
            ),
        ),
    ]
