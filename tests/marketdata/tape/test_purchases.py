from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from marketdata.errors import Kind
from marketdata.metering import Call
from marketdata.providers.base import Unit
from marketdata.tape.purchases import Meter

AT = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def call(provider: str, units: str, *symbols: str) -> Call:
    return Call(
        provider, "stream", AT, Kind.OK, symbols=symbols, units=Decimal(units), unit=Unit.SYMBOL_MINUTE
    )


def test_each_provider_is_charged_the_minutes_that_its_symbols_were_really_open():
    meter = Meter()
    meter.follow(0, {"first": {"A", "B"}, "second": set()})
    meter.follow(30, {"first": {"A"}, "second": {"C"}})

    calls = meter.take(60, AT)

    assert calls == [call("first", "1.500000", "A", "B"), call("second", "0.500000", "C")]


def test_what_goes_on_is_charged_again_and_what_is_over_is_not():
    meter = Meter()
    meter.follow(0, {"first": {"A", "B"}})
    meter.take(60, AT)
    meter.follow(60, {"first": {"A"}})

    assert meter.take(150, AT) == [call("first", "1.500000", "A")]
    meter.follow(150, {})
    assert meter.take(210, AT) == []


def test_a_symbol_that_comes_and_goes_is_charged_the_sum():
    meter = Meter()
    for second in range(0, 60, 20):
        meter.follow(second, {"first": {"A"}})
        meter.follow(second + 10, {"first": set()})

    assert meter.take(60, AT) == [call("first", "0.500000", "A")]
