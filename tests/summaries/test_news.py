from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from core import clock
from summaries import modelbook, news, orders, storing
from summaries.intake import Refusal
from summaries.kinds import EXTRACTIVE, OrderState
from summaries.models import Article, Order, Summary
from summaries.news import Ingested
from tests.factories import make_subscription, make_user
from tests.summaries.making import article, body, ticker
from tests.summaries.telling import told

pytestmark = pytest.mark.django_db


@pytest.fixture
def apple():
    return ticker("AAPL")


@pytest.fixture
def configured(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)


def want(symbol: str = "AAPL") -> None:
    make_subscription(make_user(), ticker(symbol))


def counts(found: Ingested) -> tuple[int, int, int, int]:
    return found.new, found.updated, found.known, found.refused


def symbols_of(row: Article) -> list[str]:
    return sorted(row.tickers.values_list("symbol", flat=True))


def headlines(rows) -> list[str]:
    return [row.headline for row in rows]


def edited(one, text: str = "Quite other words."):
    return replace(one, body=text)


# --- what is kept


def test_an_article_is_kept_as_plain_text(apple):
    at = clock.now() - timedelta(hours=1)
    one = told(
        3, headline="<b>Apple</b>&nbsp;rises", body="<p>It <script>x()</script>rose.</p><p>Much.</p>",
        published_at=at, url="https://example.com/3",
    )  # fmt: skip

    assert counts(news.ingest([one], "telling", licence="CC BY 2.5")) == (1, 0, 0, 0)

    row = Article.objects.get()
    assert (row.headline, row.text) == ("Apple rises", "It rose.\nMuch.")
    assert (row.source, row.url, row.licence) == ("The Wire", "https://example.com/3", "CC BY 2.5")
    assert (row.provider, row.external_id, row.is_fictional) == ("telling", "n3", False)
    assert (row.published_at, symbols_of(row)) == (at, ["AAPL"])


def test_an_article_has_a_summary_of_its_own_sentences_at_once(apple):
    news.ingest([told(1)], "telling")

    summary = Summary.objects.get()
    assert (summary.model, summary.article) == (EXTRACTIVE, Article.objects.get())
    assert summary.sentences[0] in body(1)


def test_without_a_model_nothing_is_ordered(apple):
    want()

    news.ingest([told(1)], "telling")

    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://", "/7", "http://[", "https://a.com/a b", "https://a.com/" + "x" * 1000],
)
def test_what_is_no_address_of_a_page_becomes_no_link(apple, url):
    news.ingest([told(1, url=url)], "telling")

    assert Article.objects.get().url == ""


def test_what_is_fictional_says_so(apple):
    news.ingest([told(1)], "demo", fictional=True)

    assert Article.objects.get().is_fictional


def test_fields_that_are_too_long_are_cut_and_nul_is_left_out(apple):
    one = told(1, headline="a " * 600, source="b" * 300, external_id="\0" + "c" * 300)

    news.ingest([one], "telling", licence="d" * 300)

    row = Article.objects.get()
    assert len(row.headline) <= 500
    assert (row.source, row.external_id, row.licence) == ("b" * 100, "c" * 200, "d" * 200)


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b", "\u202ea\u200bb"])
def test_what_nobody_sees_is_kept_nowhere(apple, text):
    one = told(1, headline=text, body=text, source=text, external_id=text, url=f"https://x.example/{text}")

    news.ingest([one], "telling", licence=text)

    row = Article.objects.get()
    assert (row.headline, row.text, row.source, row.external_id, row.licence) == ("ab",) * 5
    assert row.url == ""


def test_articles_without_a_word_are_not_one_article(apple):
    """All of them have the same content, and one would stand under the tickers of the others."""
    ticker("MSFT")

    found = news.ingest(
        [told(1, headline="—", body=""), told(2, "MSFT", headline="🚀 !", body="")], "telling"
    )

    assert [one.why for one in found.refusals] == [Refusal.NO_HEADLINE, Refusal.NO_HEADLINE]


@pytest.mark.parametrize(
    "host", ["evil.example\\@bank.example", "bank.example@evil.example", 'x.example"y', "x.example<b>"]
)
def test_an_address_whose_host_may_be_read_in_two_ways_is_none(apple, host):
    news.ingest([told(1, url=f"https://{host}/a")], "telling")

    assert Article.objects.get().url == ""


def test_an_article_is_about_a_hundred_tickers_at_most(apple):
    symbols = [ticker(f"T{number}").symbol for number in range(110)]

    news.ingest([told(1, *symbols)], "telling")

    assert Article.objects.get().tickers.count() == 100


def test_what_was_withdrawn_does_not_come_back_with_an_edit_of_its_vendor(apple):
    news.ingest([told(1), told(2, body="")], "telling")
    withdrawn = Article.objects.exclude(text="")
    Summary.objects.filter(article__in=withdrawn).delete()
    withdrawn.update(text="")

    found = news.ingest([told(1, body="Edited once more."), told(2, body="Now with a text.")], "telling")

    assert counts(found) == (0, 1, 1, 0)
    assert sorted(Article.objects.values_list("text", flat=True)) == ["", "Now with a text."]


def test_a_headline_alone_is_an_article(apple):
    news.ingest([told(1, body="")], "telling")

    assert Article.objects.get().text == ""


# --- what is refused


def test_a_ticker_that_nobody_knows_is_ignored_and_told(apple):
    found = news.ingest([told(1, "NOPE", "AAPL", "\0"), told(2, "NOPE")], "telling")

    assert counts(found) == (1, 0, 0, 1)
    assert dict(found.unknown) == {"NOPE": 2, "\0": 1}
    assert [one.why for one in found.refusals] == [Refusal.NO_TICKER]
    assert symbols_of(Article.objects.get()) == ["AAPL"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"headline": "<br>"}, Refusal.NO_HEADLINE),
        ({"published_at": datetime(2026, 3, 2)}, Refusal.NO_ZONE),  # noqa: DTZ001 -- that is the point
        ({"days_ago": 91}, Refusal.TOO_OLD),
        ({"published_at": datetime(1970, 1, 1, tzinfo=UTC)}, Refusal.TOO_OLD),
        ({"days_ago": -1}, Refusal.FUTURE),
    ],
)
def test_what_cannot_be_is_refused_and_the_others_are_kept(apple, fields, why):
    found = news.ingest([told(1, **fields), told(2)], "telling")

    assert counts(found) == (1, 0, 0, 1)
    assert [(one.news.external_id, one.why) for one in found.refusals] == [("n1", why)]
    assert headlines(Article.objects.all()) == ["News number 2"]


def test_a_clock_that_is_a_little_ahead_does_not_make_an_article_of_the_future(apple):
    before = clock.now()

    news.ingest([told(1, days_ago=-0.02)], "telling")

    assert before <= Article.objects.get().published_at <= clock.now()


def test_of_any_age_is_also_what_is_years_old_but_not_what_cannot_be(apple):
    old = datetime(2005, 2, 8, tzinfo=UTC)

    found = news.ingest(
        [told(1, published_at=old), told(2, published_at=old.replace(year=1970))], "file", any_age=True
    )

    assert counts(found) == (1, 0, 0, 1)


# --- told again


def test_the_same_is_kept_once(apple):
    both = [told(1), told(2)]

    assert counts(news.ingest(both, "telling")) == (2, 0, 0, 0)
    assert counts(news.ingest(both, "telling")) == (0, 0, 2, 0)
    assert (Article.objects.count(), Summary.objects.count()) == (2, 2)


def test_told_by_another_provider_it_gains_tickers_and_stays_what_it_is(apple):
    ticker("MSFT")
    news.ingest([told(1)], "telling")

    found = news.ingest([told(1, "MSFT", external_id="x9", headline="NEWS number 1!")], "other")

    assert counts(found) == (0, 0, 1, 0)
    row = Article.objects.get()
    assert (row.provider, row.headline, symbols_of(row)) == ("telling", "News number 1", ["AAPL", "MSFT"])


def test_told_twice_at_once_it_has_the_tickers_of_both(apple):
    ticker("MSFT")

    found = news.ingest([told(1), told(1, "MSFT", external_id="x9")], "telling")

    assert counts(found) == (1, 0, 1, 0)
    assert symbols_of(Article.objects.get()) == ["AAPL", "MSFT"]


def test_ten_processes_with_the_same_articles_keep_each_once(transactional_db):
    ticker("AAPL")
    ticker("MSFT")
    told_to_all = [told(number, *(["MSFT"] if number % 2 else ["AAPL", "MSFT"])) for number in range(50)]
    at_once = threading.Barrier(10)

    def ingest(number: int) -> Ingested:
        try:
            at_once.wait(30)
            turned = told_to_all[number * 5 :] + told_to_all[: number * 5]
            return news.ingest(turned, f"vendor{number}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(ingest, range(10)))

    assert sum(one.new for one in found) == Article.objects.count() == Summary.objects.count() == 50
    assert sum(one.known for one in found) == 450
    assert Article.tickers.through.objects.count() == 75


# --- edited by the vendor


def test_edited_words_take_the_place_of_those_of_which_nothing_was_bought(apple):
    one = told(1)
    news.ingest([one], "telling")

    assert counts(news.ingest([edited(one, body(2))], "telling")) == (0, 1, 0, 0)

    row, summary = Article.objects.get(), Summary.objects.get()
    assert row.text == body(2)
    assert summary.sentences[0] in body(2)
    assert counts(news.ingest([edited(one, body(2))], "telling")) == (0, 0, 1, 0)


def test_an_order_that_nobody_has_claimed_follows_the_edited_words(apple, configured):
    want()
    one = told(1)
    news.ingest([one], "telling")

    news.ingest([edited(one, body(2))], "telling")

    order = Order.objects.get()
    assert (order.article, order.state) == (Article.objects.get(), OrderState.QUEUED)
    assert Article.objects.get().content_hash in order.key


@pytest.mark.parametrize("state", [OrderState.RUNNING, OrderState.DONE, OrderState.DEAD])
def test_edited_words_are_an_article_of_their_own_once_something_was_ordered_and_begun(
    apple, configured, state
):
    want()
    one = told(1)
    news.ingest([one], "telling")
    Order.objects.update(state=state)

    assert counts(news.ingest([edited(one, body(2))], "telling")) == (1, 0, 0, 0)

    older, newer = Article.objects.order_by("pk")
    assert (older.text, newer.text) == (body(1), body(2))
    assert sorted(Order.objects.values_list("article_id", "state")) == [
        (older.pk, state),
        (newer.pk, "queued"),
    ]


def test_edited_words_leave_what_a_model_has_written_with_its_words(apple):
    one = told(1)
    news.ingest([one], "telling")
    row = Article.objects.get()
    Summary.objects.create(
        article=row, model="gpt-6-luna", prompt_version="1", sentences=["A."], key_points=[], sentiment=0
    )

    assert counts(news.ingest([edited(one)], "telling")) == (1, 0, 0, 0)

    row.refresh_from_db()
    assert (row.text, row.summaries.count(), Article.objects.count()) == (body(1), 2, 2)


def test_edited_words_that_another_tells_already_are_told_by_that_article(apple):
    ticker("MSFT")
    one = told(1)
    news.ingest([one], "telling")
    news.ingest([told(1, "MSFT", external_id="x9", body="Quite other words.")], "other")

    assert counts(news.ingest([edited(one)], "telling")) == (0, 0, 1, 0)

    assert sorted(symbols_of(row) for row in Article.objects.all()) == [["AAPL"], ["AAPL", "MSFT"]]


def test_of_two_editions_told_at_once_the_newer_is_kept(apple):
    older = told(1, days_ago=1)
    newer = replace(edited(older), published_at=clock.now())

    assert counts(news.ingest([newer, older], "telling")) == (1, 0, 1, 0)

    assert Article.objects.get().text == "Quite other words."


def test_articles_without_ids_are_no_editions_of_one_another(apple):
    assert counts(news.ingest([told(1, external_id=""), told(2, external_id="")], "telling")) == (2, 0, 0, 0)


def test_the_same_id_at_two_vendors_is_two_articles(apple):
    news.ingest([told(1)], "telling")

    assert counts(news.ingest([edited(told(1))], "other")) == (1, 0, 0, 0)


def test_an_article_that_is_being_bought_just_now_is_not_edited(transactional_db, configured):
    want()
    one = told(1)
    news.ingest([one], "telling")
    claimed, done = threading.Event(), threading.Event()

    def claim() -> None:
        try:
            with transaction.atomic():
                Order.objects.update(state=OrderState.RUNNING)
                claimed.set()
                done.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=claim)
    thread.start()
    assert claimed.wait(30)
    found = news.ingest([edited(one)], "telling")
    nobody_waited = thread.is_alive()
    done.set()
    thread.join()

    assert nobody_waited
    assert counts(found) == (1, 0, 0, 0)
    assert Article.objects.order_by("pk").first().text == body(1)


# --- what a model is wanted for


def ordered() -> list[str]:
    return sorted(Order.objects.values_list("article__headline", flat=True))


def test_a_model_is_wanted_for_recent_articles_of_wanted_tickers(apple, configured):
    ticker("KO")
    want("AAPL")

    news.ingest([told(1), told(2, days_ago=8), told(3, "KO"), told(4, "KO", "AAPL")], "telling")

    assert ordered() == ["News number 1", "News number 4"]


def test_an_article_that_turns_out_to_be_about_a_wanted_ticker_is_wanted_then(apple, configured):
    ticker("KO")
    want("AAPL")
    news.ingest([told(1, "KO")], "telling")
    before = ordered()

    news.ingest([told(1, "AAPL")], "telling")

    assert (before, ordered()) == ([], ["News number 1"])


def test_all_that_are_new_may_be_wanted(apple, configured):
    news.ingest([told(1, days_ago=30), told(2)], "file", summarize=True)

    assert ordered() == ["News number 1", "News number 2"]


def test_an_article_and_its_summary_are_kept_together_or_not_at_all(apple, monkeypatch):
    def fail(_articles) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(storing, "keep_extractive_summaries", fail)
        with pytest.raises(MemoryError):
            news.ingest([told(1)], "telling")

    assert Article.objects.count() == 0
    assert counts(news.ingest([told(1)], "telling")) == (1, 0, 0, 0)


# --- reading


def test_the_latest_are_those_of_these_tickers_each_once_the_newest_first(apple, django_assert_num_queries):
    older, newer = article(days_ago=2), article(days_ago=1)
    newer.tickers.add(ticker("MSFT"))
    other = article("KO")

    with django_assert_num_queries(2):
        found = [(row.pk, [one.symbol for one in row.tickers.all()]) for row in news.latest(["MSFT", "AAPL"])]

    assert found == [(newer.pk, ["AAPL", "MSFT"]), (older.pk, ["AAPL"])]
    assert [row.pk for row in news.latest(None)] == [other.pk, newer.pk, older.pk]
    assert list(news.latest([])) == []


@pytest.mark.parametrize("number", [1, 30])
def test_many_articles_take_as_many_queries_as_one(apple, number, django_assert_num_queries):
    with django_assert_num_queries(14):
        assert news.ingest([told(one) for one in range(number)], "telling").new == number
