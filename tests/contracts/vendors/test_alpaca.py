"""Alpaca's adapter against its stand-in: the shared suite, and what is its own."""

from __future__ import annotations

from marketdata.errors import Kind
from marketdata.providers.alpaca import Alpaca
from marketdata.providers.plans import plan_of
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import Fault
from tests.contracts.vendors.case import TOLD_OF_ACTIONS, Case
from tests.contracts.vendors.stream_suite import *  # noqa: F403
from tests.contracts.vendors.suite import *  # noqa: F403


def alpaca(standin, patience=None, plan="basic"):
    return Alpaca(
        base_url=standin.url,
        stream_url=standin.stream_url,
        key=standin.key,
        secret=standin.secret,
        plan=plan_of("alpaca", plan),
        patience=patience,
    )


CASE = Case(
    make_standin=AlpacaStandIn,
    make_provider=alpaca,
    spellings={"BRK.B": "BRK.B", "BTC-USD": "BTC/USD"},
    uncovered=("0700.HK", "^GSPC", "ES=F", "EURUSD=X", "BTC-EUR"),
    lacks=frozenset({Fault.THROTTLED_200}),
    # A map without an envelope: no entry at all is how unknown symbols look.
    expected={("quotes", Fault.EMPTY_OBJECT): Kind.NOT_FOUND},
    told_of_actions=TOLD_OF_ACTIONS - {"declared_date"},
    unknown_bars=None,
    pages=True,
    life_message=False,
)
