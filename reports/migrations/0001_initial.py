"""Reports and their schedules."""

import alliantra.fields
import alliantra.workspaces.models
import django.contrib.postgres.fields
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
            name='ReportSchedule',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('type', models.CharField(choices=[('roi', 'Roi'), ('channel_breakdown', 'Channel Breakdown'), ('partner_ranking', 'Partner Ranking'), ('forecast', 'Forecast')], max_length=20)),
                ('group_by', models.CharField(choices=[('partner', 'Partner'), ('channel', 'Channel'), ('program', 'Program'), ('region', 'Region'), ('month', 'Month')], max_length=10)),
                ('period', models.CharField(max_length=21)),
                ('filters', alliantra.fields.ExactJSONField(blank=True, default=dict)),
                ('attribution_model', models.CharField(choices=[('last_touch', 'Last Touch'), ('first_touch', 'First Touch'), ('linear', 'Linear'), ('time_decay', 'Time Decay'), ('position_based', 'Position Based')], default='last_touch', max_length=14)),
                ('format', models.CharField(choices=[('json', 'Json'), ('csv', 'Csv')], default='csv', max_length=4)),
                ('cron', models.CharField(max_length=100)),
                ('timezone', models.CharField(max_length=64, validators=[alliantra.workspaces.models.validate_timezone])),
                ('recipients', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), blank=True, default=list, size=None)),
                ('is_active', models.BooleanField(default=True)),
                ('next_run_at', models.DateTimeField(blank=True, null=True)),
                ('last_run_at', models.DateTimeField(blank=True, null=True)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'created_at', 'id'], name='reportschedule_created'), models.Index(fields=['workspace', 'updated_at', 'id'], name='reportschedule_updated'), models.Index(condition=models.Q(('next_run_at__isnull', False)), fields=['workspace', 'next_run_at'], name='reportschedule_due')],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('lease', models.UUIDField(null=True)),
                ('leased_until', models.DateTimeField(null=True)),
                ('rows_done', models.BigIntegerField(default=0)),
                ('rows_expected', models.BigIntegerField(default=0)),
                ('origin', models.CharField(choices=[('live', 'Live'), ('on_demand', 'On Demand'), ('scheduled', 'Scheduled')], max_length=10)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('building', 'Building'), ('ready', 'Ready'), ('failed', 'Failed')], default='queued', max_length=8)),
                ('type', models.CharField(choices=[('roi', 'Roi'), ('channel_breakdown', 'Channel Breakdown'), ('partner_ranking', 'Partner Ranking'), ('forecast', 'Forecast')], max_length=20)),
                ('group_by', models.CharField(choices=[('partner', 'Partner'), ('channel', 'Channel'), ('program', 'Program'), ('region', 'Region'), ('month', 'Month')], max_length=10)),
                ('period', models.CharField(max_length=21)),
                ('first_day', models.DateField()),
                ('last_day', models.DateField()),
                ('filters', alliantra.fields.ExactJSONField(default=dict)),
                ('attribution_model', models.CharField(choices=[('last_touch', 'Last Touch'), ('first_touch', 'First Touch'), ('linear', 'Linear'), ('time_decay', 'Time Decay'), ('position_based', 'Position Based')], default='last_touch', max_length=14)),
                ('format', models.CharField(choices=[('json', 'Json'), ('csv', 'Csv')], default='json', max_length=4)),
                ('due_at', models.DateTimeField(null=True)),
                ('requested_by', models.CharField(blank=True, max_length=200)),
                ('stamp', models.CharField(blank=True, max_length=200)),
                ('computed_at', models.DateTimeField(null=True)),
                ('covers_until', models.DateTimeField(null=True)),
                ('cost_as_of', models.DateTimeField(null=True)),
                ('rows', alliantra.fields.ExactJSONField(default=list)),
                ('totals', alliantra.fields.ExactJSONField(default=dict)),
                ('failure', models.CharField(blank=True, max_length=500)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
                ('schedule', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='reports', to='reports.reportschedule')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'created_at', 'id'], name='report_created'), models.Index(condition=models.Q(('status__in', ('queued', 'building'))), fields=['workspace', 'status'], name='report_waiting')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('origin', 'live')), fields=('workspace', 'type', 'group_by', 'first_day', 'last_day', 'attribution_model', 'filters'), name='report_live'), models.UniqueConstraint(condition=models.Q(('schedule', None), _negated=True), fields=('workspace', 'schedule', 'due_at'), name='report_of_schedule')],
            },
        ),
        migrations.CreateModel(
            name='ReportMail',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('recipient', models.EmailField(max_length=254)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('failure', models.CharField(blank=True, max_length=500)),
                ('report', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='mails', to='reports.report')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['workspace', 'next_attempt_at'], name='reportmail_due')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'report', 'recipient'), name='reportmail_recipient')],
            },
        ),
    ]
