from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random

import pytest

from core import http
from marketdata import metering
from marketdata.providers import registry
from marketdata.quotes import Quote, Tick
from marketdata.standins import trial
from marketdata.standins.stream import StreamStandIn


@pytest.fixture(autouse=True)
def _metered():
    with metering.collecting():
        yield


def lead_to(standin, settings) -> None:
    for name, value in trial.settings_of(standin).items():
        setattr(settings, name, value == "1" if name == "YAHOO_ENABLED" else value)


@pytest.mark.parametrize("vendor", trial.KINDS)
async def test_the_settings_it_prints_lead_there(vendor, settings):
    async with trial.standin_of(vendor).running() as standin:
        lead_to(standin, settings)

        found = await registry.make(vendor).fetch_quotes(["AAPL"])
        await http.close_client()

    assert isinstance(found["AAPL"], Quote)
    assert found["AAPL"].price == standin.market.listed["AAPL"].price


@pytest.mark.parametrize(
    "vendor", [name for name, kind in trial.KINDS.items() if issubclass(kind, StreamStandIn)]
)
async def test_prices_move_and_stream(vendor, settings, monkeypatch):
    monkeypatch.setattr(trial, "SECOND_S", 0.01)
    async with trial.standin_of(vendor).running() as standin:
        lead_to(standin, settings)
        before = standin.market.listed["MSFT"].price
        stream = await registry.make(vendor).open_stream()
        await stream.subscribe(["MSFT"])
        trading = asyncio.create_task(trial.trade(standin, Random(7)))
        async with asyncio.timeout(20):
            prices = {before}
            async for batch in stream.batches():
                prices |= {one.price for one in batch if isinstance(one, Tick)}
                if len(prices) > 3:
                    break
        trading.cancel()
        await stream.close()
        await http.close_client()

    assert all(abs(price / before - 1) < Decimal("0.01") for price in prices)


def test_a_price_moves_in_its_own_steps_and_never_to_nothing():
    rng = Random(3)
    prices = [Decimal("0.0001")]
    for _ in range(200):
        prices.append(trial.moved(prices[-1], rng))

    assert min(prices) > 0
    assert {price.as_tuple().exponent for price in prices} == {-4}
