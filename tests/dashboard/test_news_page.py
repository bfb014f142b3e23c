"""The page of news and the tab of a ticker; without a script."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from core import clock
from dashboard.moments import ago_words, zone_name, zone_of
from dashboard.news_page import PAGE, Place, host_of
from dashboard.sentiment import Sentiment
from marketdata import attention
from summaries import news
from summaries.kinds import EXTRACTIVE
from summaries.models import Article
from tests.factories import make_quote, make_subscription, make_ticker, make_user
from tests.summaries.stored import MODEL, make_summary
from tests.summaries.stored import make_article as make_linked_article

pytestmark = pytest.mark.django_db
THIN, MINUS = "\u2009", "\u2212"


@pytest.fixture
def alice(client: Client):
    user = make_user("alice", time_zone="UTC")
    client.force_login(user)
    return user


@pytest.fixture
def apple(alice):
    ticker = make_ticker("AAPL", name="Apple Inc.")
    make_subscription(alice, ticker)
    return ticker


def make_article(headline: str, *tickers, **fields) -> Article:
    return make_linked_article(*tickers, **{"headline": headline, "url": "", **fields})


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()).replace(THIN, "~")).replace("~", THIN)


def headlines(answer) -> list[str]:
    page = answer.content.decode()
    found = re.findall(r'<h3 class="article-title">(.*?)</h3>', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", one)).strip() for one in found]


# --- which articles


def test_news_is_of_the_tickers_that_are_watched(client: Client, alice, apple) -> None:
    other = make_ticker("MSFT")
    asleep = make_ticker("IBM")
    make_subscription(alice, asleep, dormant=True)
    make_article("Of Apple", apple)
    make_article("Of both", apple, other)
    make_article("Of Microsoft", other)
    make_article("Of IBM", asleep)

    assert headlines(client.get("/news/")) == ["Of both", "Of Apple"]
    assert headlines(client.get("/news/?all")) == ["Of IBM", "Of Microsoft", "Of both", "Of Apple"]
    assert headlines(client.get("/news/?ticker=msft")) == ["Of Microsoft", "Of both"]


def test_what_nobody_knows_is_looked_at_by_nobody(client: Client, alice) -> None:
    attention.forget()

    for number in range(3):
        assert client.get(f"/news/?ticker=NOPE{number}").status_code == 200

    assert attention.looked_at() == set()


def test_whose_news_are_read_is_looked_at(client: Client, alice, apple) -> None:
    make_ticker("MSFT")
    attention.forget()

    client.get("/news/")
    assert attention.looked_at() == {"AAPL"}
    client.get("/news/?ticker=MSFT", headers={"X-Fragment": "news"})
    assert attention.looked_at() == {"AAPL", "MSFT"}


def test_the_tickers_to_choose_from_are_ones_own_and_the_chosen_one(client: Client, alice, apple) -> None:
    make_ticker("MSFT")

    page = client.get("/news/?ticker=MSFT").content.decode()

    shown = re.findall(r'class="filter-chip" href="([^"]*)"( aria-current="true")?>([^<]+)<', page)
    assert [(url, bool(current), words) for url, current, words in shown] == [
        ("/news/", False, "My tickers"),
        ("/news/?all", False, "All"),
        ("/news/?ticker=AAPL", False, "AAPL"),
        ("/news/?ticker=MSFT", True, "MSFT"),
    ]


def test_a_visitor_sees_the_news_of_the_demo_tickers(client: Client) -> None:
    demo, other = make_ticker(settings.DEMO_SYMBOLS[0]), make_ticker("SECRET")
    make_article("For everybody", demo)
    make_article("For users", other)

    assert headlines(client.get("/news/")) == ["For everybody"]
    assert headlines(client.get("/news/?all")) == ["For everybody"]
    assert headlines(client.get(f"/news/?ticker={demo.symbol}")) == ["For everybody"]
    assert client.get("/news/?ticker=SECRET").url == "/account/login/?next=/news/%3Fticker%3DSECRET"


def test_pages_follow_one_another_without_a_gap_also_where_moments_are_equal(
    client: Client, alice, apple
) -> None:
    at = clock.now() - timedelta(hours=1)
    made = [make_article(f"Article {number}", apple, published_at=at).headline for number in range(PAGE + 5)]

    first = client.get("/news/")
    older = re.search(r'href="(\?before=[\d-]+)"', first.content.decode())[1]
    then = client.get(f"/news/{older}")

    assert headlines(first) + headlines(then) == made[::-1]
    assert ">Newest</a>" in text(then)
    assert ">Older</a>" not in text(then)


def test_the_pages_of_a_filter_stay_in_it(client: Client, alice, apple) -> None:
    for number in range(PAGE + 1):
        make_article(f"Article {number}", apple)

    assert re.search(r'href="\?ticker=AAPL&before=', text(client.get("/news/?ticker=AAPL")))
    assert re.search(r'href="\?all&before=', text(client.get("/news/?all")))


@pytest.mark.parametrize("before", ["x", "1-", "-1", "٣-٣", "9" * 40 + "-1", "1-" + "9" * 40])
def test_what_is_no_place_in_the_list_is_its_beginning(before: str, client: Client, alice, apple) -> None:
    make_article("One", apple)

    assert headlines(client.get("/news/", {"before": before})) == ["One"]


def test_a_place_is_read_as_it_was_written(alice, apple) -> None:
    place = Place.of(make_article("One", apple))

    assert Place.read(str(place)) == place


def test_it_is_told_how_many_have_come_since(client: Client, alice, apple) -> None:
    place = Place.of(make_article("Old", apple, published_at=clock.now() - timedelta(hours=1)))
    as_script = {"X-Fragment": "news"}

    before = client.get("/news/", {"after": str(place)}, headers=as_script)
    make_article("New", apple)
    make_article("Of nobody's", make_ticker("ELSE"))
    then = client.get("/news/", {"after": str(place)}, headers=as_script)

    assert 'data-count="0"' in before.content.decode()
    assert "<a " not in before.content.decode()
    assert text(then).strip() == (
        '<div data-news-hint data-count="1"><a class="btn" href="/news/">1 new article: show it</a></div>'
    )


@pytest.mark.parametrize("count", [1, 8])
def test_the_page_costs_the_same_queries_for_any_length(
    count: int, client: Client, alice, apple, django_assert_num_queries
) -> None:
    make_quote(apple)
    for number in range(count):
        make_summary(make_article(f"Article {number}", apple))

    # session, user, own tickers, articles, their tickers, summaries, quotes, the shell's numbers
    with django_assert_num_queries(8):
        client.get("/news/")


# --- one article


def test_an_article_is_shown_with_all_that_is_known_of_it(client: Client, alice, apple, still) -> None:
    make_quote(apple, "589.58", change=Decimal("21.48"), change_percent=Decimal("3.7812"))
    at = clock.now() - timedelta(hours=2, minutes=5)
    article = make_article(
        "Tablet sells out", apple, published_at=at, source="The Wire", url="https://www.example.com/a?b=1&c=2"
    )
    make_summary(
        article,
        sentences=["It sold out.", "More is on its way."],
        key_points=["Sold out"],
        sentiment=Decimal("0.6"),
    )

    page = client.get("/news/").content.decode()
    shown = text(client.get("/news/"))

    link = (
        '<a href="https://www.example.com/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer nofollow"'
    )
    assert link in page
    for words in [
        "The Wire",
        "example.com",
        f"2{THIN}h ago",
        f"{at:%H:%M}",
        "<span>It sold out.</span> <span>More is on its way.</span>",
        "1 key point<",
        "<li>Sold out</li>",
        "<span>Positive</span>",
        "+0.60",
        f"+3.78{THIN}%",
        "Apple Inc.: 589.58 USD, simulated",
        f"Summary by {MODEL} · {clock.now().day} {clock.now():%b %Y} · not investment advice",
    ]:
        assert words in shown
    assert "Fictional" not in shown


def test_sentences_of_the_article_itself_are_labelled_so(client: Client, alice, apple) -> None:
    article = make_article("One", apple, is_fictional=True, licence="CC BY 2.5")
    make_summary(article, model=EXTRACTIVE)

    shown = text(client.get("/news/"))

    assert "Sentences of the article itself · not investment advice · CC BY 2.5" in shown
    assert ">Fictional</span>" in shown


def test_the_text_of_a_model_is_preferred_to_the_articles_own(client: Client, alice, apple) -> None:
    article = make_article("One", apple)
    make_summary(article, sentences=["By a model."], created_at=clock.now() - timedelta(days=1))
    make_summary(article, sentences=["Its own."], model=EXTRACTIVE)

    assert "By a model." in text(client.get("/news/"))
    assert "Its own." not in text(client.get("/news/"))


def test_an_article_without_a_text_is_a_headline(client: Client, alice, apple) -> None:
    make_article("Only this", apple)

    shown = text(client.get("/news/"))

    assert "Only the headline was told." in shown
    assert "not investment advice" not in shown


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.example.com/a", "example.com"),
        ("http://news.example.com:8080/", "news.example.com"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.com/a", ""),
        ("https://[::1", ""),
        ("", ""),
    ],
)
def test_only_an_address_of_a_page_becomes_a_link(url: str, host: str, client: Client, alice, apple) -> None:
    make_article("One", apple, url=url)

    assert host_of(url) == host
    assert ('target="_blank"' in client.get("/news/").content.decode()) is bool(host)


HOSTILE = '<img src=x onerror="alert(1)">'
MARKDOWN = (
    "![x](https://evil.example/p.png) [click](https://evil.example) <a href='https://evil.example'>x</a>"
)


def test_nothing_of_an_article_or_a_model_becomes_an_element(client: Client, alice, apple) -> None:
    article = make_article(HOSTILE, apple, source=HOSTILE, licence=HOSTILE)
    make_summary(article, sentences=[HOSTILE, MARKDOWN], key_points=[HOSTILE, MARKDOWN], model=HOSTILE)

    for path in ("/news/", "/tickers/AAPL/?tab=news"):
        page = client.get(path).content.decode()

        assert "<img" not in page
        assert "evil.example'" not in page
        assert page.count("https://evil.example/p.png") == 2
        assert re.findall(r'(?:href|src)="[^"]*evil[^"]*"', page) == []
        assert html.escape(HOSTILE) in page


@pytest.mark.parametrize(
    ("value", "word", "number", "direction", "left", "width"),
    [
        ("0.6", "Positive", "+0.60", "up", 32, 19),
        ("-1", "Negative", f"{MINUS}1.00", "down", 0, 32),
        ("0.14", "Neutral", "+0.14", "flat", 32, 4),
        ("0", "Neutral", "0.00", "flat", 32, 2),
        ("-0.15", "Negative", f"{MINUS}0.15", "down", 27, 5),
    ],
)
def test_a_sentiment_is_a_word_a_number_and_a_bar_from_the_middle(
    value, word, number, direction, left, width
) -> None:
    found = Sentiment(Decimal(value))

    assert (found.word, found.number, found.direction) == (word, number, direction)
    assert (found.left, found.width) == (left, width)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7_500, "2 h ago"), (200_000, "2 days ago")],
)
def test_how_long_ago_something_was_is_told_in_words(seconds: int, words: str) -> None:
    now = clock.now()

    assert ago_words(now - timedelta(seconds=seconds), now).replace(THIN, " ") == words


def test_a_zone_is_named_as_people_there_name_it() -> None:
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    zones = ("America/New_York", "Europe/Berlin", "UTC", "America/Sao_Paulo")

    assert [zone_name(at, zone_of(zone)) for zone in zones] == ["EST", "CET", "UTC", "UTC-03"]


# --- where there is nothing


def test_without_a_watchlist_the_page_says_what_it_is_for(client: Client, alice) -> None:
    make_article("Of another", make_ticker("MSFT"))

    shown = text(client.get("/news/"))

    assert "News follows your watchlist" in shown
    assert 'href="/watchlist/?add"' in shown


def test_without_an_article_the_page_says_what_will_come(client: Client, alice, apple) -> None:
    assert "Nothing has been written yet" in text(client.get("/news/"))
    assert "No article about AAPL has come so far." in text(client.get("/news/?ticker=AAPL"))


def test_behind_the_oldest_there_is_nothing(client: Client, alice, apple) -> None:
    place = Place.of(make_article("One", apple))

    assert "Nothing older" in text(client.get("/news/", {"before": str(place)}))


def test_without_a_database_the_page_is_the_usual_one(monkeypatch, client: Client, alice) -> None:
    def away(symbols):
        raise OperationalError("connection refused")

    monkeypatch.setattr(news, "latest", away)

    answer = client.get("/news/?all")

    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


# --- the tab of a ticker


def test_the_tab_of_a_ticker_has_its_articles_alone(client: Client, alice, apple) -> None:
    make_article("Of Apple", apple)
    make_article("Of Microsoft", make_ticker("MSFT"))

    answer = client.get("/tickers/AAPL/?tab=news")

    assert headlines(answer) == ["Of Apple"]
    assert '<a class="tab" href="/tickers/AAPL/?tab=news" aria-current="page">News</a>' in text(answer)
    assert "data-chart-card" not in text(answer)
    assert "Nothing has been written about MSFT" not in text(answer)


def test_a_tab_that_there_is_not_is_the_overview(client: Client, alice, apple) -> None:
    answer = text(client.get("/tickers/AAPL/?tab=nonsense"))

    assert '<a class="tab" href="/tickers/AAPL/" aria-current="page">Overview</a>' in answer
    assert "data-chart-card" in answer


def test_deleting_an_article_takes_its_page_place_nowhere_else(client: Client, alice, apple) -> None:
    first, second = make_article("First", apple), make_article("Second", apple)
    place = Place.of(second)
    Article.objects.filter(pk=second.pk).delete()

    assert headlines(client.get("/news/", {"before": str(place)})) == [first.headline]
