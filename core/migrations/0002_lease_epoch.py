"""One sequence for the epochs of all leases, so that they rise even when a ticker changes shard."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0001_first")]

    operations = [
        migrations.RunSQL("CREATE SEQUENCE core_lease_epoch", "DROP SEQUENCE core_lease_epoch"),
    ]
