"""Many alerts at once, for what only a large table shows."""

from __future__ import annotations

from django.db import connection

from accounts.models import User

FILL = """
INSERT INTO alerts_alert (user_id, ticker_id, kind, threshold, way, sessions, mode, rearm_band, cooldown_s, priority,
                          category, note, is_paused, active, phase, direction, version, fire_seq, armed_at,
                          splits_until, edited_at, created_at)
SELECT %(user)s, ticker.id, CASE WHEN number %% 2 = 0 THEN 'above' ELSE 'below' END, 100 + number %% 90 + 1,
       'either', 'regular', 'repeat', 0, 0, 3, '', '', false, true, 1, CASE WHEN number %% 2 = 0 THEN 1 ELSE -1 END,
       1, 0, now() - interval '1 day', current_date, now(), now()
  FROM marketdata_ticker AS ticker CROSS JOIN generate_series(1, %(each)s) AS number
"""


def fill(user: User, tickers: int, each: int) -> None:
    """So many tickers with so many armed levels each, and the planner knows it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketdata_ticker (symbol, name, exchange, sector, asset_class, currency, is_active, "
            "created_at) "
            "SELECT 'C' || n, 'Crowd', '', '', 'stock', 'USD', true, now() FROM generate_series(1, %s) AS n",
            [tickers],
        )
        cursor.execute(FILL, {"user": user.pk, "each": each})
        for table in ("alerts_alert", "marketdata_ticker"):
            cursor.execute(f"ANALYZE {table}")
