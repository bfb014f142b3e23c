"""The naive way beside the real one: a stored counter, starting from the same rows."""

from __future__ import annotations

from pathlib import Path

from django.db import connection

SQL = Path(__file__).with_suffix(".sql")

COPY = """
INSERT INTO rival_subscription (user_id, ticker_id) SELECT user_id, ticker_id FROM subscriptions_subscription;
INSERT INTO rival_count SELECT ticker_id, count(*) FROM rival_subscription GROUP BY ticker_id;
ANALYZE rival_subscription, rival_count;
"""
DRIFT = """
SELECT count(*) FILTER (WHERE coalesce(c.subscribers, 0) <> coalesce(true_count, 0)),
       count(*) FILTER (WHERE (c.subscribers > 0) IS DISTINCT FROM (true_count > 0))
  FROM rival_count AS c
  FULL JOIN (SELECT ticker_id, count(*) AS true_count FROM rival_subscription GROUP BY ticker_id) AS t USING (ticker_id)
"""
OVER_LIMIT = """
SELECT count(*) FROM (
    SELECT s.user_id FROM rival_subscription AS s JOIN accounts_user AS u ON u.id = s.user_id
     GROUP BY s.user_id, u.tier HAVING count(*) > (%s::jsonb ->> u.tier)::int) AS over
"""


def set_up() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL.read_text())
        cursor.execute(COPY)


def drift() -> tuple[int, int]:
    """(tickers with a wrong count, those among them that would be open without a watcher or the other way round)"""
    with connection.cursor() as cursor:
        cursor.execute(DRIFT)
        wrong, wrong_state = cursor.fetchone()
    return wrong, wrong_state


def over_limit(limits: str) -> int:
    """Users above the limit of their tier; `limits` is a JSON object, tier -> limit."""
    with connection.cursor() as cursor:
        cursor.execute(OVER_LIMIT, [limits])
        (users,) = cursor.fetchone()
    return int(users)
