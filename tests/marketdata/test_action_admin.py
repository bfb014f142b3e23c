from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from core import clock
from marketdata import actions
from marketdata.models import CorporateAction, Ticker
from tests.factories import make_staff, make_ticker
from tests.marketdata.acting import dividend, split

pytestmark = pytest.mark.django_db

ADD = "admin:marketdata_corporateaction_add"
LIST = "admin:marketdata_corporateaction_changelist"
CHANGE = "admin:marketdata_corporateaction_change"


@pytest.fixture
def apple(client) -> Ticker:
    client.force_login(make_staff())
    return make_ticker("AAPL")


def form(ticker, kind="dividend", ex_date="2026-02-09", **fields):
    return {"ticker": ticker.pk, "kind": kind, "ex_date": ex_date, "currency": "USD", **fields}


def errors(response):
    return {name: [str(one) for one in said] for name, said in response.context["adminform"].errors.items()}


def test_an_operator_enters_a_dividend(client, apple):
    response = client.post(reverse(ADD), form(apple, amount="0.24", currency="eur"))

    assert response.status_code == 302
    row = CorporateAction.objects.get()
    assert (row.amount, row.currency, row.provider) == (Decimal("0.24"), "EUR", actions.OPERATOR)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "dividend"}, "amount"),
        ({"kind": "dividend", "amount": "-1"}, "amount"),
        ({"kind": "dividend", "amount": "1", "split_to": "4"}, "split_to"),
        ({"kind": "dividend", "amount": "1", "currency": "$$$"}, "currency"),
        ({"kind": "split", "split_to": "4"}, "split_from"),
        ({"kind": "split", "split_to": "4", "split_from": "0"}, "split_from"),
        ({"kind": "rename"}, "new_symbol"),
        ({"kind": "rename", "new_symbol": "no such"}, "new_symbol"),
        ({"kind": "rename", "new_symbol": "aapl"}, "new_symbol"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_beside_its_field(client, apple, fields, field):
    response = client.post(reverse(ADD), form(apple, **fields))

    assert list(errors(response)) == [field]
    assert CorporateAction.objects.count() == 0


def test_a_correction_survives_the_next_load(client, apple):
    actions.keep(apple, "alpaca", [split(date(2020, 8, 28))])
    row = CorporateAction.objects.get()

    fields = {"kind": "split", "ex_date": "2020-08-31", "split_from": "1", "split_to": "4"}
    client.post(reverse(CHANGE, args=[row.pk]), form(apple, **fields))
    actions.keep(apple, "alpaca", [split(date(2020, 8, 28))])

    assert list(CorporateAction.objects.values_list("ex_date", "provider")) == [
        (date(2020, 8, 31), "operator")
    ]


@pytest.mark.parametrize(("days", "active"), [(0, False), (-2000, False), (3, True)])
def test_a_rename_is_followed_at_once_when_its_day_has_come(client, apple, days, active):
    day = actions.today_of(apple) + timedelta(days=days)

    client.post(reverse(ADD), form(apple, kind="rename", ex_date=str(day), new_symbol="APPL"))

    assert Ticker.objects.get(symbol="AAPL").is_active is active
    assert Ticker.objects.filter(symbol="APPL").exists() is not active


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_any_length(client, apple, rows, django_assert_num_queries):
    told = [dividend(date(2026, 2, 9) - timedelta(days=91 * i)) for i in range(rows)]
    actions.keep(apple, "alpaca", told)

    with django_assert_num_queries(4):  # session, user, count, rows
        page = client.get(reverse(LIST)).content.decode()

    assert page.count("0.24 USD") == rows


def test_rows_are_found_by_symbol_and_told_in_words(client, apple):
    brk = make_ticker("BRK.B")
    actions.keep(brk, "alpaca", [split(date(2010, 1, 21), 1, 50, symbol="BRK.B")])
    actions.keep(apple, "alpaca", [split(date(2020, 8, 31))])
    CorporateAction.objects.create(
        ticker=brk,
        kind="rename",
        ex_date=date(1996, 5, 9),
        new_symbol="X",
        provider="a",
        loaded_at=clock.now(),
    )

    page = client.get(reverse(LIST), {"q": "brk-b"}).content.decode()

    assert "50:1" in page
    assert "now X" in page
    assert "4:1" not in page
    assert client.get(reverse(LIST), {"q": "No such!"}).context["cl"].result_count == 0
