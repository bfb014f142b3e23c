from __future__ import annotations

import pytest

from core import metrics
from core.redis import client
from marketdata import claims
from marketdata.claims import Claim
from marketdata.quotes import NoQuote, Reason
from tests.outages import redis_away
from tests.providers import make_quote

CLAIM_MS = claims.CLAIM_MS


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    client().flushall()
    # Whatever a busy machine is doing meanwhile, nothing runs out but where a test waits for it.
    monkeypatch.setattr(claims, "CLAIM_MS", 700_000)
    monkeypatch.setattr(claims, "SETTLED_MS", 200_000)


def test_the_first_who_claims_may_ask_and_the_second_waits():
    assert claims.claim(["AAPL", "MSFT"]) == {"AAPL": Claim.MINE, "MSFT": Claim.MINE}

    assert claims.claim(["MSFT", "NVDA"]) == {"MSFT": Claim.ANOTHERS, "NVDA": Claim.MINE}


def test_whoever_waited_gets_the_outcome_whatever_it_is():
    quote, none = make_quote("AAPL", "1234567.89"), NoQuote("MSFT", Reason.RATE_LIMITED)
    claims.claim(["AAPL", "MSFT"])

    claims.settle([quote, none])

    assert claims.claim(["AAPL", "MSFT"]) == {"AAPL": quote, "MSFT": none}


def test_a_want_of_quota_binds_only_those_who_are_no_more_important():
    none = NoQuote("AAPL", Reason.RATE_LIMITED)
    claims.claim(["AAPL"], rank=2)
    claims.settle([none], rank=2)

    assert claims.claim(["AAPL"], rank=3) == {"AAPL": none}
    assert claims.claim(["AAPL"], rank=2) == {"AAPL": none}
    assert claims.claim(["AAPL"], rank=1) == {"AAPL": Claim.MINE}
    assert claims.claim(["AAPL"], rank=0) == {"AAPL": Claim.ANOTHERS}


def test_any_other_refusal_binds_everybody():
    none = NoQuote("AAPL", Reason.NOT_FOUND)
    claims.settle([none], rank=3)

    assert claims.claim(["AAPL"], rank=0) == {"AAPL": none}


def test_renewing_does_not_keep_an_outcome_longer():
    claims.claim(["AAPL", "MSFT"])
    claims.settle([make_quote("AAPL")])

    claims.renew(["AAPL", "MSFT"])

    assert client().pttl("quote:claim:AAPL") <= claims.SETTLED_MS < client().pttl("quote:claim:MSFT")


def test_who_gives_up_leaves_the_claim_to_the_next_but_takes_no_outcome_away():
    quote = make_quote("MSFT")
    claims.claim(["AAPL", "MSFT"])
    claims.settle([quote])

    claims.release(["AAPL", "MSFT"])

    assert claims.claim(["AAPL", "MSFT"]) == {"AAPL": Claim.MINE, "MSFT": quote}


def test_a_claim_ends_by_itself_when_its_process_dies(monkeypatch):
    monkeypatch.setattr(claims, "CLAIM_MS", 30)
    claims.claim(["AAPL"])

    held = claims.claim(["AAPL"])["AAPL"]
    while held is Claim.ANOTHERS:
        held = claims.claim(["AAPL"])["AAPL"]
    assert held is Claim.MINE


def test_claims_and_outcomes_do_not_stay():
    claims.claim(["AAPL"])
    assert 0 < client().pttl("quote:claim:AAPL") <= claims.CLAIM_MS

    claims.settle([make_quote("AAPL")])
    assert 0 < client().pttl("quote:claim:AAPL") <= claims.SETTLED_MS


def test_a_claim_outlives_the_budget_of_a_request():
    from marketdata.providers.chain import QUOTE_BUDGET_S  # noqa: PLC0415 -- it knows the claims, not they it

    assert CLAIM_MS > QUOTE_BUDGET_S * 1000


def test_what_another_version_settled_is_asked_again():
    client().set("quote:claim:AAPL", b'{"v":0}')
    client().set("quote:claim:MSFT", b'{"none":"no_such_reason"}')

    assert claims.claim(["AAPL", "MSFT", "NVDA"]) == dict.fromkeys(["AAPL", "MSFT", "NVDA"], Claim.MINE)


def test_while_redis_is_away_everybody_may_ask_and_it_is_counted():
    before = metrics.redis_failures.labels(used_by="claims")._value.get()
    with redis_away():
        assert claims.claim(["AAPL"]) == {"AAPL": Claim.MINE}
        claims.settle([make_quote("AAPL")])

    assert metrics.redis_failures.labels(used_by="claims")._value.get() == before + 2
