from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata import store
from marketdata.acceptance import Acceptance, Before
from marketdata.baseline import Split
from marketdata.models import CorporateAction
from marketdata.quotes import Tick
from marketdata.splits import morning_of, today
from marketdata.tape import knowledge
from marketdata.tape.knowledge import Knowledge, said_before
from tests.factories import make_ticker
from tests.providers import make_quote

FOUR_TO_ONE = Split(1, Decimal(4))


def split(ticker, ex_date) -> None:
    CorporateAction.objects.create(
        ticker=ticker,
        kind="split",
        ex_date=ex_date,
        split_from=1,
        split_to=4,
        provider="x",
        loaded_at=clock.now(),
    )


@pytest.mark.django_db
def test_what_was_published_last_is_known_with_the_splits_since():
    tickers = {
        symbol: make_ticker(symbol) for symbol in ("SPLIT", "BEFORE", "LATER", "PLAIN", "FETCHED", "NONE")
    }
    ids = {symbol: ticker.pk for symbol, ticker in tickers.items()}
    days_ago = [morning_of(today() - timedelta(days=days)) for days in range(5)]
    said_at = datetime.fromtimestamp((days_ago[3] + 1) // 10**6, clock.now().tzinfo)
    for symbol in list(ids)[:5]:
        numbers = {} if symbol == "FETCHED" else {"epoch": 3, "seq": 1}
        store.store_ticked([make_quote(symbol, as_of=said_at, **numbers)], ids)
    split(tickers["SPLIT"], today() - timedelta(days=2))
    split(tickers["BEFORE"], today() - timedelta(days=3))
    split(tickers["LATER"], today() + timedelta(days=1))

    found = said_before(ids)

    said_us = int(said_at.timestamp()) * 10**6
    assert found == {
        symbol: Before("scripted", said_us, has_split=symbol == "SPLIT")
        for symbol in ("SPLIT", "BEFORE", "LATER", "PLAIN")
    }


@pytest.mark.parametrize(
    ("before", "rebased"),
    [
        (None, False),
        (Before("first", 0), False),
        (Before("other", 0), True),
        (Before("first", 0, has_split=True), True),
    ],
)
def test_the_first_price_of_a_term_says_whether_it_stands_on_another_base_than_the_last_of_the_former(
    before, rebased
):
    judge, now = Acceptance(), clock.now_us()
    judge.remind({"AAPL": before} if before else {})

    ticks = [Tick("AAPL", Decimal(100), 1, 1, now - 10 + number, "first") for number in range(2)]

    assert [judge.judge(one, now).ticks[0].rebased for one in ticks] == [rebased, False]


@pytest.mark.parametrize(("said_us", "rebased"), [(99, True), (100, False)])
def test_a_split_that_becomes_effective_before_the_first_price_is_another_base(said_us, rebased):
    judge, now = Acceptance(max_age_us=10**18), clock.now_us()
    judge.remind({"AAPL": Before("first", said_us)})
    judge.splits["AAPL"] = Split(100, Decimal(4))

    assert judge.judge(Tick("AAPL", Decimal(100), 1, 1, now, "first"), now).ticks[0].rebased is rebased


async def test_splits_of_what_becomes_wanted_while_others_are_read_are_not_lost(monkeypatch):
    """Either way round."""
    acceptance = Acceptance()
    known, ids = Knowledge(acceptance), {"AAPL": 1, "MSFT": 2}
    meanwhile = []

    async def answer(function, *args):
        if function is said_before:
            return {}
        found = dict.fromkeys(args[1], FOUR_TO_ONE)
        if meanwhile:
            await meanwhile.pop()
        return found

    monkeypatch.setattr(knowledge, "in_thread", answer)
    await known.gain({"AAPL"}, ids)
    acceptance.splits = {"AAPL": Split(0, Decimal(2))}  # of yesterday

    meanwhile.append(known.gain({"MSFT"}, ids))
    await known.renew(ids)
    assert acceptance.splits == {"AAPL": FOUR_TO_ONE, "MSFT": FOUR_TO_ONE}

    known.lose(["AAPL"])
    acceptance.splits = {"AAPL": Split(0, Decimal(2))}
    meanwhile.append(known.renew(ids))
    await known.gain({"MSFT"}, ids)
    assert acceptance.splits == {"AAPL": FOUR_TO_ONE, "MSFT": FOUR_TO_ONE}


async def test_what_is_not_wanted_any_more_is_judged_anew_when_it_is_again(monkeypatch):
    acceptance, now = Acceptance(), clock.now_us()
    known = Knowledge(acceptance)

    async def answer(function, *args):
        return {"AAPL": FOUR_TO_ONE} if function is not said_before else {}

    monkeypatch.setattr(knowledge, "in_thread", answer)
    await known.gain({"AAPL"}, {"AAPL": 1})
    acceptance.judge(Tick("AAPL", Decimal(100), 1, 1, now - 10, "first"), now)

    assert known.lose({"AAPL"}) == set()
    assert known.lose(set()) == {"AAPL"}

    assert acceptance.splits == {}
    assert acceptance.judge(Tick("AAPL", Decimal(300), 1, 1, now, "first"), now).accepted
