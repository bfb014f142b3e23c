from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured

from marketdata import checks
from marketdata.providers import registry
from marketdata.providers.registry import Purpose
from marketdata.providers.replay import Replay
from marketdata.providers.simulator import Simulator
from tests.providers import Scripted


@pytest.fixture(autouse=True)
def _nothing_made(monkeypatch):
    monkeypatch.setattr(registry, "_made", None)


def names():
    return [provider.name for provider in registry.providers()]


def test_providers_come_in_the_configured_order_and_are_made_once(settings):
    settings.MARKETDATA_PROVIDERS = ["simulator", "replay"]

    assert names() == ["simulator", "replay"]
    assert registry.providers() is registry.providers()


def test_settings_reach_the_providers(settings):
    settings.REPLAY_SPEED, settings.SIMULATOR_SEED = 39.0, 12

    assert registry.provider("replay").day_us == 600_000_000
    assert registry.provider("simulator").last_tick("ZZZZ", 10**15) == Simulator(seed=12).last_tick(
        "ZZZZ", 10**15
    )


def test_an_unknown_name_raises_a_key_error():
    with pytest.raises(KeyError):
        registry.provider("nobody")


BOTH = [Purpose.QUOTES, Purpose.STREAM, Purpose.MINUTE_BARS, Purpose.DAY_BARS]


@pytest.mark.parametrize("purpose", BOTH)
@pytest.mark.parametrize(("symbol", "name"), [("AAPL", "replay"), ("FB", "replay"), ("META", "simulator")])
def test_a_symbol_goes_to_the_first_that_covers_it(symbol, name, purpose):
    assert registry.route(symbol, purpose=purpose).name == name


def test_what_nobody_covers_goes_nowhere(settings):
    settings.MARKETDATA_PROVIDERS = ["replay"]

    assert registry.route("META") is None


class Bare(Simulator):
    """Covers everything, and does only what `able` says."""

    def __init__(self, able):
        super().__init__()
        self.name = "bare"
        self.capabilities = able


@pytest.mark.parametrize("purpose", BOTH)
def test_a_provider_without_the_capability_is_passed_over(purpose):
    whole = Simulator()
    nothing = type(whole.capabilities)(
        label="Bare",
        asset_classes=frozenset(),
        max_symbols_per_request=0,
        intervals=frozenset(),
        streams=False,
        simulated=True,
    )

    with registry.override(Bare(nothing), whole):
        assert registry.route("AAPL", purpose=purpose) is whole
    with registry.override(Bare(whole.capabilities), whole):
        assert registry.route("AAPL", purpose=purpose).name == "bare"


def named(*symbols, name, simulated=False):
    provider = Scripted(*symbols, name=name)
    provider.capabilities = replace(provider.capabilities, simulated=simulated)
    return provider


def test_every_real_provider_that_covers_a_symbol_is_a_candidate_in_order():
    one, other, coins = named(name="one"), named(name="other"), named("BTC-USD", name="coins")

    with registry.override(coins, one, other):
        assert registry.candidates("AAPL") == (one, other)


def test_invented_prices_never_stand_in_for_real_ones():
    real, invented = named("AAPL", name="real"), named(name="invented", simulated=True)

    with registry.override(real, invented):
        assert registry.candidates("AAPL") == (real,)
        assert registry.candidates("MSFT") == (invented,)


def test_of_invented_prices_only_one_kind_is_shown():
    first, second = named(name="first", simulated=True), named(name="second", simulated=True)

    with registry.override(first, second):
        assert registry.candidates("AAPL") == (first,)


def test_others_can_take_their_place_for_a_while():
    before = registry.providers()
    replacement = Replay()

    with registry.override(replacement):
        assert registry.providers() == (replacement,)
        with registry.override():
            assert registry.route("AAPL") is None
        assert registry.route("AAPL") is replacement

    assert registry.providers() is before


def test_they_come_back_also_after_an_error():
    with pytest.raises(RuntimeError), registry.override():
        raise RuntimeError

    assert names() == ["replay", "simulator"]


KNOWN = "alpaca, alpha_vantage, finnhub, massive, replay, simulator, yahoo"


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ([], f"MARKETDATA_PROVIDERS is empty; known are {KNOWN}."),
        (["reply"], f"MARKETDATA_PROVIDERS names 'reply', which does not exist; known are {KNOWN}."),
        (["replay", "replay"], "MARKETDATA_PROVIDERS names a provider twice."),
    ],
)
def test_a_wrong_setting_is_named(settings, configured, message):
    settings.MARKETDATA_PROVIDERS = configured

    with pytest.raises(ImproperlyConfigured) as refused:
        registry.providers()
    (found,) = checks.providers_exist()

    assert str(refused.value) == found.msg == message
    assert found.id == "marketdata.E001"


def test_right_settings_pass_the_checks():
    assert checks.providers_exist() == []
    assert checks.replay_speed_is_possible() == []
    assert checks.demo_symbols_are_symbols() == []


@pytest.mark.parametrize("speed", [0.0, 0.5, -3.0, 1000.0, float("nan"), float("inf")])
def test_an_impossible_replay_speed_is_named(settings, speed):
    settings.REPLAY_SPEED = speed

    (found,) = checks.replay_speed_is_possible()

    assert found.id == "marketdata.E002"
    assert found.msg.startswith("REPLAY_SPEED is ")


@pytest.mark.parametrize(
    ("symbol", "why"), [("brk-b", "It is spelled BRK.B."), ("A\nB", "A ticker symbol has only letters")]
)
def test_a_demo_symbol_that_is_none_is_named(settings, symbol, why):
    settings.DEMO_SYMBOLS = ["AAPL", symbol]

    (found,) = checks.demo_symbols_are_symbols()

    assert found.id == "marketdata.E003"
    assert why in found.msg
    assert "\n" not in found.msg
