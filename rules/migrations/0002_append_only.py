"""Make rule versions immutable."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("rules", "0001_initial"), ("workspaces", "0002_append_only")]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER ruleversion_append_only BEFORE UPDATE OR DELETE ON rules_ruleversion "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            "DROP TRIGGER ruleversion_append_only ON rules_ruleversion",
        ),
    ]
