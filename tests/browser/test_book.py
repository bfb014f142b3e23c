"""What a page keeps of each symbol: the newest by (e, n), whichever way it came."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

# `steps` are calls of the book; returned are price, position and staleness of AAPL after each of them.
RUN = """async (steps) => {
  const { Book } = await import("/static/js/book.js");
  const book = new Book();
  return steps.map(([name, told]) => {
    book[name](told);
    const { price, position, stale } = book.quotes.get("AAPL") ?? {};
    return [price, position, Boolean(stale)];
  });
}"""


def payload(price: str | None, e: int, n: int, *, at: int = 10, **more: object) -> dict[str, object]:
    as_of = f"2026-11-20T12:00:{at:02}.000Z"
    return {"symbol": "AAPL", "price": price, "e": e, "n": n, "as_of": as_of, **more}


def frame(price: str, e: int, n: int) -> dict[str, object]:
    return {"s": "AAPL", "p": price, "c": None, "cp": None, "v": None, "t": 0, "e": e, "n": n, "pr": "x"}


@pytest.fixture
def run(page: Page):
    page.goto("/credits/")
    return lambda *steps: [tuple(one) for one in page.evaluate(RUN, [list(step) for step in steps])]


def test_the_highest_position_wins_in_any_order(run) -> None:
    shown = run(
        ("open", [payload("1.00", 2, 5)]),
        ("frames", [frame("2.00", 2, 6)]),
        ("frames", [frame("3.00", 2, 4)]),
        ("frames", [frame("4.00", 3, 1)]),
        ("frames", [frame("5.00", 2, 99)]),
    )

    assert [price for price, _, _ in shown] == ["1.00", "2.00", "2.00", "4.00", "4.00"]


def test_the_snapshot_of_a_new_connection_counts_even_where_its_numbers_are_lower(run) -> None:
    shown = run(
        ("open", [payload("1.00", 7, 900)]),
        ("restart", ["AAPL"]),
        ("snapshot", [payload("2.00", 1, 3)]),
        ("frames", [frame("3.00", 1, 4)]),
    )

    assert shown[2:] == [("2.00", [1, 3], False), ("3.00", [1, 4], False)]


def test_what_came_before_the_snapshot_and_is_newer_stays(run) -> None:
    shown = run(
        ("open", [payload("1.00", 7, 900)]),
        ("restart", ["AAPL"]),
        ("frames", [frame("3.00", 1, 5), frame("2.50", 1, 4)]),
        ("snapshot", [payload("2.00", 1, 3, previous_close="0.90")]),
    )

    assert shown[-1] == ("3.00", [1, 5], False)


def test_a_lost_connection_begins_again_from_where_it_was(page: Page) -> None:
    page.goto("/credits/")
    known = page.evaluate(
        """async (payloads) => {
          const { Book } = await import("/static/js/book.js");
          const book = new Book();
          book.open(payloads);
          book.restart(["AAPL", "SPY"]);
          return book.positions(["AAPL", "SPY", "IBM"]);
        }""",
        [payload("1.00", 7, 900), payload("2.00", 0, 0) | {"symbol": "SPY"}],
    )

    assert known == {"AAPL": [7, 900]}


def test_what_was_asked_again_is_taken_unless_it_is_older(run) -> None:
    shown = run(
        ("open", [payload("1.00", 2, 5)]),
        ("polled", [payload("2.00", 2, 4)]),
        ("polled", [payload("3.00", 2, 6)]),
        ("polled", [payload("3.00", 2, 6, stale=True)]),
        ("polled", [payload("4.00", 0, 0, at=9)]),
        ("polled", [payload("5.00", 0, 0, at=11)]),
        ("polled", [payload("6.00", 0, 0, at=11)]),
    )

    assert [price for price, _, _ in shown] == ["1.00", "1.00", "3.00", "3.00", "3.00", "5.00", "6.00"]
    assert [stale for _, _, stale in shown] == [False, False, False, True, True, False, False]


def test_a_price_that_is_gone_stays_in_sight_as_stale(run) -> None:
    shown = run(("open", [payload("1.00", 2, 5)]), ("polled", [payload(None, 0, 0, reason="provider_down")]))

    assert shown[-1] == ("1.00", [2, 5], True)


def test_a_stale_price_is_fresh_again_by_a_new_entry_or_by_a_word(run) -> None:
    shown = run(
        ("open", [payload("1.00", 2, 5)]),
        ("markStale", ["AAPL"]),
        ("markFresh", ["AAPL"]),
        ("markStale", ["AAPL"]),
        ("frames", [frame("1.00", 2, 5)]),
    )

    assert [stale for _, _, stale in shown] == [False, True, False, True, False]


def test_what_was_missed_follows_on_what_is_known(page: Page) -> None:
    page.goto("/credits/")
    between = page.evaluate(
        """async ([payloads, frames]) => {
          const { Book } = await import("/static/js/book.js");
          const book = new Book();
          book.open(payloads);
          return book.missed(frames).map(({ price, high, low }) => [price, high, low]);
        }""",
        [
            [payload("5.00", 2, 5, high="6.00", low="4.00", replay_date=None)],
            [frame("7.00", 2, 6), frame("3.00", 2, 7)],
        ],
    )

    assert between == [["7.00", "7.00", "4.00"], ["3.00", "7.00", "3.00"]]
