"""Messages to the outside."""

import alliantra.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('workspaces', '0002_append_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('event_type', models.CharField(choices=[('run.locked', 'Run Locked'), ('statement.ready', 'Statement Ready'), ('rule.updated', 'Rule Updated')], max_length=40)),
                ('payload', alliantra.fields.ExactJSONField()),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'created_at', 'id'], name='message_created')],
            },
        ),
    ]
