"""Tables of the ledger, its sources and products, and the rollups."""

import alliantra.fields
import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('partners', '0001_initial'),
        ('workspaces', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='RevenueRollup',
            fields=[
                ('day', models.DateField()),
                ('channel', models.CharField(blank=True, max_length=100)),
                ('program', models.CharField(blank=True, max_length=100)),
                ('region', models.CharField(blank=True, max_length=100)),
                ('currency', alliantra.fields.CurrencyField(max_length=3, null=True)),
                ('event_type', models.CharField(choices=[('conversion', 'Conversion'), ('registration', 'Registration'), ('transaction', 'Transaction'), ('custom_event', 'Custom Event')], max_length=12)),
                ('type', models.CharField(choices=[('sale', 'Sale'), ('refund', 'Refund'), ('adjustment', 'Adjustment')], max_length=10, null=True)),
                ('events', models.BigIntegerField()),
                ('amount', models.DecimalField(decimal_places=6, max_digits=30)),
                ('id', models.TextField(primary_key=True, serialize=False)),
            ],
            options={
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Product',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('external_id', models.CharField(blank=True, max_length=200, null=True)),
                ('name', models.CharField(max_length=200)),
                ('category', models.CharField(blank=True, max_length=60)),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), blank=True, default=list, size=None)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', max_length=12)),
                ('metadata', alliantra.fields.ExactJSONField(blank=True, default=dict)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'created_at', 'id'], name='product_created')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'external_id'), name='product_external_id'), models.CheckConstraint(condition=models.Q(('external_id', ''), _negated=True), name='product_external_id_not_blank')],
            },
        ),
        migrations.CreateModel(
            name='RevenueSource',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('external_id', models.CharField(blank=True, max_length=200, null=True)),
                ('name', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('api', 'Api'), ('file', 'File'), ('integration', 'Integration')], default='api', max_length=12)),
                ('currency', alliantra.fields.CurrencyField(blank=True, max_length=3, null=True)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'created_at', 'id'], name='source_created')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'name'), name='source_name'), models.UniqueConstraint(fields=('workspace', 'external_id'), name='source_external_id'), models.CheckConstraint(condition=models.Q(('external_id', ''), _negated=True), name='source_external_id_not_blank')],
            },
        ),
        migrations.CreateModel(
            name='LedgerTotal',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('revenues', models.BigIntegerField()),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace',), name='ledgertotal_workspace')],
            },
        ),
        migrations.CreateModel(
            name='RevenueEvent',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('external_id', models.CharField(max_length=200)),
                ('event_type', models.CharField(choices=[('conversion', 'Conversion'), ('registration', 'Registration'), ('transaction', 'Transaction'), ('custom_event', 'Custom Event')], max_length=12)),
                ('type', models.CharField(choices=[('sale', 'Sale'), ('refund', 'Refund'), ('adjustment', 'Adjustment')], max_length=10, null=True)),
                ('amount', alliantra.fields.MoneyField(decimal_places=6, max_digits=20, null=True)),
                ('currency', alliantra.fields.CurrencyField(max_length=3, null=True)),
                ('occurred_at', models.DateTimeField()),
                ('external_product_identifier', models.CharField(blank=True, max_length=200)),
                ('customer_id', models.CharField(blank=True, max_length=200)),
                ('payee_hint', models.CharField(blank=True, max_length=200)),
                ('territory', models.CharField(blank=True, max_length=100)),
                ('channel', models.CharField(blank=True, max_length=100)),
                ('program', models.CharField(blank=True, max_length=100)),
                ('original_external_id', models.CharField(blank=True, max_length=200)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('metadata', alliantra.fields.ExactJSONField(default=dict)),
                ('partner', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='partners.partner')),
                ('product', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='revenues.product')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
                ('source', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='revenues.revenuesource')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('amount__isnull', False)), fields=['workspace', 'created_at', 'id'], name='event_created'), models.Index(fields=['workspace', 'occurred_at', 'id'], name='event_occurred'), models.Index(fields=['workspace', 'partner', 'occurred_at'], name='event_partner'), models.Index(condition=models.Q(('product', None), models.Q(('external_product_identifier', ''), _negated=True)), fields=['workspace', 'external_product_identifier'], name='event_unmapped')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'source', 'external_id'), name='event_external_id'), models.CheckConstraint(condition=models.Q(models.Q(('amount', None), ('currency', None), ('type', None)), models.Q(('amount__gt', 0), ('currency__isnull', False), ('type', 'sale')), models.Q(('amount__lt', 0), ('currency__isnull', False), ('type', 'refund')), models.Q(('currency__isnull', False), ('type', 'adjustment'), models.Q(('amount', 0), _negated=True)), _connector='OR'), name='event_amount_sign')],
            },
        ),
        migrations.CreateModel(
            name='ProductMapping',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('external_product_identifier', models.CharField(max_length=200)),
                ('product', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='mappings', to='revenues.product')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='workspaces.workspace')),
                ('source', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='mappings', to='revenues.revenuesource')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace', 'source', 'external_product_identifier'), name='productmapping_identifier')],
            },
        ),
        migrations.CreateModel(
            name='RollupBase',
            fields=[
                ('id', models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('channel', models.CharField(blank=True, max_length=100)),
                ('program', models.CharField(blank=True, max_length=100)),
                ('region', models.CharField(blank=True, max_length=100)),
                ('currency', alliantra.fields.CurrencyField(max_length=3, null=True)),
                ('event_type', models.CharField(choices=[('conversion', 'Conversion'), ('registration', 'Registration'), ('transaction', 'Transaction'), ('custom_event', 'Custom Event')], max_length=12)),
                ('type', models.CharField(choices=[('sale', 'Sale'), ('refund', 'Refund'), ('adjustment', 'Adjustment')], max_length=10, null=True)),
                ('events', models.BigIntegerField()),
                ('amount', models.DecimalField(decimal_places=6, max_digits=30)),
                ('partner', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='partners.partner')),
                ('product', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='revenues.product')),
                ('source', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='revenues.revenuesource')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'partner', 'day'], name='rollupbase_partner'), models.Index(fields=['workspace', 'product'], name='rollupbase_product')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'day', 'partner', 'source', 'product', 'channel', 'program', 'region', 'currency', 'event_type', 'type'), name='rollupbase_key', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='RollupDelta',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('days', django.contrib.postgres.fields.ArrayField(base_field=models.DateField(), size=None)),
                ('source_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                ('partner_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(null=True), size=None)),
                ('product_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(null=True), size=None)),
                ('channels', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('programs', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('regions', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('currencies', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(null=True), size=None)),
                ('event_types', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('types', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(null=True), size=None)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('amounts', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=6, max_digits=30), size=None)),
                ('revenues', models.BigIntegerField()),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'id'], name='rollupdelta_workspace')],
            },
        ),
    ]
