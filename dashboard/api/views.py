from __future__ import annotations

from typing import Any

from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import clock
from dashboard.api.serializers import CostsQuery, MyCostsQuery
from dashboard.cost_rows import GroupBy, Row, nano_of, nano_of_one, rows_of, saving_percent, total_of, usd
from dashboard.ledger import Mine, Report, Window, cached_report, of_user, report
from marketdata.payload import time_text


class Costs(APIView):
    """What everybody's tickers cost, for staff."""

    permission_classes = [IsAdminUser]

    def get(self, request: Request) -> Response:
        query = CostsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        found = report(query.validated_data["window"])
        group_by = GroupBy(query.validated_data["group_by"])
        rows = rows_of(found, group_by)
        return Response(
            {
                **_head(found),
                "group_by": group_by.value,
                "total": _row(total_of(found)),
                "count": len(rows),
                "results": [
                    {"key": row.key, "name": row.name, **_row(row)}
                    for row in rows[: query.validated_data["limit"]]
                ],
                "next": None,
            }
        )


class MyCosts(APIView):
    """What the tickers of the one who asks cost him, and what they would cost him alone. The same few windows for all,
    so that nobody can make a report for each second."""

    def get(self, request: Request) -> Response:
        query = MyCostsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        found = cached_report(Window.last_days(query.validated_data["days"], clock.now()))
        mine = of_user(found, request.user.pk)
        return Response(
            {
                **_head(found),
                "total": _row(Row("", "", *nano_of_one(mine.total))),
                "results": [{"symbol": row.key, **_row(row)} for row in _mine(mine)],
                "next": None,
            }
        )


def _head(found: Report) -> dict[str, Any]:
    return {
        "from": time_text(found.window.start),
        "to": time_text(found.window.end),
        "currency": "USD",
    }


def _row(row: Row) -> dict[str, Any]:
    percent = saving_percent(row)
    told = {
        "cost": _text(row.cost),
        "unshared": _text(row.unshared),
        "saved": _text(row.saved),
        "saving_percent": None if percent is None else f"{percent:.4f}",
    }
    known = {"watchers": row.watchers, "calls": row.calls, "unpriced_calls": row.unpriced}
    return {**told, **{name: number for name, number in known.items() if number is not None}}


def _text(nano: int) -> str:
    return f"{usd(nano):.9f}"


def _mine(mine: Mine) -> list[Row]:
    amounts = nano_of(mine.tickers, mine.total)
    rows = [Row(symbol, symbol, *amount) for symbol, amount in amounts.items()]
    return sorted(rows, key=lambda row: (-row.cost, row.key))
