"""Watching and unwatching as functions in the database; see subscriptions/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"
FUNCTIONS = {
    "watch": "uuid, bigint[], jsonb, timestamptz",
    "unwatch": "uuid, bigint[]",
    "run_out": "uuid, bigint[]",
    "end_expired": "int",
}


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_first"), ("accounts", "0001_first")]

    operations = [
        migrations.RunSQL(
            (SQL / f"{name}.sql").read_text(), f"DROP FUNCTION subscriptions_{name}({arguments})"
        )
        for name, arguments in FUNCTIONS.items()
    ]
