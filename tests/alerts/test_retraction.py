from __future__ import annotations

from decimal import Decimal

import pytest

from alerts import retraction
from alerts.models import Alert, Notification
from marketdata.quotes import Correction
from tests.alerts.fires import make_fire
from tests.factories import make_alert, make_ticker, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alert() -> Alert:
    return make_alert(make_user("alice"), make_ticker("AAPL"), threshold="190", mode="repeat")


def cancelled(**fields) -> Correction:
    return Correction(
        **{"symbol": "AAPL", "provider": "simulator", "as_of_us": 1, "trade_id": "t1", **fields}
    )


def test_a_trade_that_is_taken_back_again_and_again_is_told_once(alert):
    make_fire(alert, "191")

    assert [len(retraction.retract(cancelled())) for _ in range(3)] == [1, 0, 0]
    assert Notification.objects.count() == 1


@pytest.mark.parametrize("other", [{"symbol": "MSFT"}, {"provider": "alpaca"}, {"trade_id": "t2"}])
def test_only_that_trade_of_that_provider_and_ticker_is_meant(alert, other):
    make_ticker("MSFT")
    make_fire(alert, "191")

    assert retraction.retract(cancelled(**other)) == []


@pytest.mark.parametrize(("price", "told"), [("190.50", 0), ("189", 1)])
def test_a_fire_that_stands_at_the_right_price_is_only_noted(alert, price, told):
    fire = make_fire(alert, "191")

    assert len(retraction.retract(cancelled(price=Decimal(price)))) == told

    fire.refresh_from_db()
    assert fire.retraction == f"The trade was corrected to {Decimal(price):.2f}."


@pytest.mark.parametrize(
    "rule",
    [{}, {"kind": "of a later version"}, {"kind": None}, {"threshold": "much"}, {"threshold": ["190"]}],
)
def test_a_fire_whose_rule_cannot_be_read_any_more_is_retracted(alert, rule):
    fire = make_fire(alert, "191")
    fire.rule = {**fire.rule, **rule} if rule else {}
    fire.save()

    assert len(retraction.retract(cancelled(price=Decimal("190.50")))) == 1
    assert len(retraction.retract(cancelled())) == 0
