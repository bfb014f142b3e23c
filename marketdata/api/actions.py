"""Dividends, splits and renames of a ticker, the newest first."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.dateparse import parse_date
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from marketdata.actions import shares_text, visible
from marketdata.api.permissions import require_login_unless_demo
from marketdata.api.tickers import ticker_or_404
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, price_text


class ActionSerializer(serializers.ModelSerializer[CorporateAction]):
    symbol = serializers.CharField(source="ticker.symbol")
    amount = serializers.SerializerMethodField()
    split_from = serializers.SerializerMethodField()
    split_to = serializers.SerializerMethodField()

    class Meta:
        model = CorporateAction
        fields = [
            "symbol", "kind", "ex_date", "special", "amount", "currency", "split_from", "split_to", "new_symbol",
            "declared_date", "record_date", "pay_date", "provider",
        ]  # fmt: skip

    def get_amount(self, row: CorporateAction) -> str | None:
        return None if row.amount is None else price_text(row.amount)

    def get_split_from(self, row: CorporateAction) -> str | None:
        return None if row.split_from is None else shares_text(row.split_from)

    def get_split_to(self, row: CorporateAction) -> str | None:
        return None if row.split_to is None else shares_text(row.split_to)


class ActionsQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in ActionKind], required=False)


class ByDay(CursorPagination):
    ordering = ("-ex_date", "-id")
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not _is_date(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_date(text: str) -> bool:
    try:
        return parse_date(text) is not None
    except ValueError:
        return False


class Actions(ListAPIView[CorporateAction]):
    """Also those announced for the days to come."""

    permission_classes = [AllowAny]
    serializer_class = ActionSerializer
    pagination_class = ByDay

    def get_queryset(self) -> QuerySet[CorporateAction]:
        ticker = ticker_or_404(self.kwargs["symbol"])
        require_login_unless_demo(self.request, [ticker.symbol])
        query = ActionsQuery(data=self.request.query_params.dict())
        query.is_valid(raise_exception=True)
        return visible(ticker).filter(**query.validated_data).select_related("ticker")
