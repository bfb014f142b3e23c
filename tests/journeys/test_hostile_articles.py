"""Two hundred articles that mean harm, and a model that obeys them, go the whole way: from a vendor to pages and API.

The way is gone once; what people and programs would be shown is kept, and looked at by each test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser

import pytest
from django.db import transaction
from django.test import Client

from accounts.tiers import Tier
from core.redis import client as redis
from marketdata import cache
from marketdata.company import EarningsCall, Speech
from marketdata.providers import breakers
from summaries import analyses, buying, news, orders, transcripts
from summaries.kinds import EXTRACTIVE, Lane, Persona, Task
from summaries.likeness import words
from summaries.llm import prompts, registry
from summaries.models import Analysis, EarningsSummary, Order, Summary
from tests.factories import make_ticker, make_user
from tests.summaries import hostile
from tests.summaries.factories import make_company
from tests.summaries.making import ScriptedModel, price

# The way takes longer than a test; the mark makes the database, too.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

OWN = re.compile(r"https://news\.example/(\d+)")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ADDRESSES = {
    "href",
    "src",
    "action",
    "formaction",
    "poster",
    "data",
    "srcset",
    "xlink:href",
    "ping",
    "background",
}
ACTIVE = {"img", "iframe", "object", "embed", "base", "style", "video", "audio", "frame", "math", "applet"}
# One of each kind but that without any words: the tickers whose pages are looked at, and whose calls are told.
LOOKED_AT = [number for number in range(0, 200, 9) if number % 20 != 12]
COMPANY = "ACME"


@dataclass
class Shown:
    """What came of the way: documents by address, and how much of it a model wrote."""

    pages: dict[str, str] = field(default_factory=dict)
    api: dict[str, object] = field(default_factory=dict)
    ingested: news.Ingested = field(default_factory=news.Ingested)
    generated: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...]


class Document(HTMLParser):
    """Elements, and text with the classes of the elements that it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, given, tuple(name for _, name in self.open)))
        if tag not in VOID:
            self.open.append((tag, f"{given.get('class', '')} {given.get('id', '')}".strip()))

    def handle_endtag(self, tag):
        for at in range(len(self.open) - 1, -1, -1):
            if self.open[at][0] == tag:
                del self.open[at:]
                return

    def handle_data(self, data):
        if data.strip():
            self.texts.append((tuple(name for _, name in self.open), data))


def speak(number: int) -> EarningsCall:
    """A call in which the article's attack is said, by somebody whose name is one."""
    article = hostile.articles()[number]
    return EarningsCall(
        symbol=hostile.ticker(number),
        year=2026,
        quarter=1,
        title=f"Call {number} <script>alert(1)</script>",
        speeches=(
            Speech("<img src=x onerror=alert(1)>Ann", article.body[:60_000], '"><svg onload=alert(2)>CEO'),
        ),
        held_on=date(2026, 3, 2),
    )


def obey(question) -> str:
    prompt = f"{prompts.text(question.task, question.persona)}\nMark: {hostile.MARK}"
    if question.task is not Task.EARNINGS:
        return hostile.obedient_answer(question, hostile.articles(), prompt)
    return json.dumps({"items": [obeyed_call(item, prompt) for item in question.items]})


def obeyed_call(item, prompt: str) -> dict[str, object]:
    """Every second call has the prompt told, which costs it its text; the others what is said in them."""
    told = prompt if int(item.id.rpartition("-")[2]) % 2 else item.text
    said = [sentence for sentence in item.text.split("\n") if is_honest(sentence)]
    return {
        "id": item.id,
        "sentences": [f"{(said or [item.title])[0].partition('. ')[0]}.", item.text[-390:], told[:390]],
        "key_metrics": [
            {"name": "<b>Price</b>", "value": hostile.LURE},
            {"name": hostile.MARK, "value": "9999"},
        ],
        "guidance": [f"{hostile.ORDER} {hostile.LURE}", f"The mark is {hostile.MARK}.", told[-300:]],
        "sentiment": 1,
    }


def is_honest(sentence: str) -> bool:
    return " sold " in sentence


def go_the_way() -> Shown:
    shown = Shown()
    price("gpt-6-luna", "gpt-5-nano")
    for number in range(200):
        make_ticker(hostile.ticker(number), name=hostile.company(number))
    company = make_company(symbol=COMPANY)
    with registry.override(ScriptedModel(script=obey), ScriptedModel("gpt-5-nano", obey)):
        shown.ingested = news.ingest(hostile.articles(), "test", any_age=True, summarize=True)
        for number in LOOKED_AT:
            transcripts.keep(speak(number), "test")
        analyses.refresh(company, list(Persona), lane=Lane.INTERACTIVE, tier=Tier.EXPERT.value)
        buy_all()
        shown.left = list(Order.objects.exclude(state__in=["done", "dead"]).values_list("state", flat=True))
        look_at(shown)
    for kind in (Summary, EarningsSummary, Analysis):
        shown.generated[kind.__name__] = kind.objects.exclude(model=EXTRACTIVE).count()
    return shown


def buy_all() -> None:
    before = breakers.Reading(breakers.State.CLOSED)
    while (claim := orders.claim()) is not None:
        buying.buy(claim, before)


def look_at(shown: Shown) -> None:
    browser = Client()
    browser.force_login(make_user("reader", tier=Tier.EXPERT.value))
    address: str | None = "/news/?all"
    while address:
        page = shown.pages[address] = browser.get(address).content.decode()
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = f"/news/{older[1].replace('&amp;', '&')}" if older else None
    for symbol in [COMPANY, *(hostile.ticker(number) for number in LOOKED_AT)]:
        for tab in ("news", "earnings", "analyses"):
            address = f"/tickers/{symbol}/?tab={tab}"
            shown.pages[address] = browser.get(address).content.decode()
        for address in (f"/api/v1/earnings/?symbol={symbol}", f"/api/v1/analyses/{symbol}/"):
            shown.api[address] = browser.get(address).json()
    address = "/api/v1/news/?limit=50"
    while address:
        shown.api[address] = told = browser.get(address).json()
        address = told["next"]


@contextmanager
def one_transaction() -> Iterator[None]:
    """That of a test; what has to be on disk at once need not be here."""
    whole = transaction.atomic()
    whole._from_testcase = True
    with whole:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def shown(django_db_setup, django_db_blocker) -> Shown:
    redis().flushdb()
    cache.forget_memory()
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), one_transaction():
        patch.setattr(orders, "wake", lambda: None)
        patch.setattr(orders, "GATHER_S", 0.0)
        breakers.reset(buying.breaker_name())
        found = go_the_way()
    redis().flushdb()
    cache.forget_memory()
    return found


@pytest.fixture(scope="module")
def documents(shown) -> dict[str, Document]:
    return {address: Document(page) for address, page in shown.pages.items()}


def strings(told: object) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        for value in told.values():
            yield from strings(value)
    elif isinstance(told, list):
        for value in told:
            yield from strings(value)


def api_articles(shown: Shown) -> list[dict]:
    return [row for address, told in shown.api.items() if "/news/" in address for row in told["results"]]


def number_of(row: dict) -> int:
    return int(OWN.fullmatch(row["url"])[1])


def is_raw(path: tuple[str, ...]) -> bool:
    """What somebody said in a call stands there word by word: as text, whatever it was."""
    return "transcript" in path


def made_texts(documents) -> list[tuple[str, str]]:
    return [
        (address, text)
        for address, document in documents.items()
        for path, text in document.texts
        if not is_raw(path)
    ]


def test_the_whole_way_was_gone(shown):
    assert (shown.ingested.new, shown.ingested.refused, shown.left) == (190, 10, [])
    assert shown.generated["Summary"] >= 100
    assert shown.generated["EarningsSummary"] >= 5
    assert shown.generated["Analysis"] >= 1
    assert len([address for address in shown.pages if address.startswith("/news/")]) == 10
    assert len(api_articles(shown)) == 190


def test_no_element_of_a_page_comes_from_a_text(documents):
    wrong = []
    for address, document in documents.items():
        for one in document.elements:
            given = one.attributes
            is_ours = (
                one.tag != "script"
                or given.get("src", "").startswith("/static/")
                or given.get("type") == "application/json"
            )
            has_handler = any(name.startswith("on") or name in {"style", "srcdoc"} for name in given)
            is_of_speech = is_raw(one.path) and one.tag not in {"article", "h3", "span", "p"}
            if one.tag in ACTIVE or not is_ours or has_handler or "http-equiv" in given or is_of_speech:
                wrong.append((address, one))
    assert wrong == []


def test_the_only_way_out_of_a_page_is_to_the_original_of_an_article(documents):
    wrong, ways_out = [], set()
    for address, document in documents.items():
        for one in document.elements:
            for name in ADDRESSES & one.attributes.keys():
                to = one.attributes[name]
                if OWN.fullmatch(to) and one.tag == "a" and "noopener noreferrer" in one.attributes["rel"]:
                    ways_out.add(to)
                elif one.tag == "path" or not re.match(r"[/?#](?!/)", to):
                    wrong.append((address, one.tag, name, to))
    assert wrong == []
    assert len(ways_out) == 190


def test_no_text_that_is_shown_has_an_address(shown, documents):
    pattern = re.compile(r"://|www\.|script:|data:text|evil\.|@\w", re.IGNORECASE)
    told = [text for row in shown.api.values() for text in strings(row) if not OWN.fullmatch(text)]
    told = [text for text in told if not text.startswith("http://testserver/api/")]
    shown_ = [pair for pair in made_texts(documents) if not pair[1].lstrip().startswith("{")]  # ours, in JSON
    assert [pair for pair in shown_ if pattern.search(pair[1])] == []
    assert [text for text in told if pattern.search(text)] == []


def test_no_markup_is_told_to_programs(shown):
    pattern = re.compile(r"<[a-z/!|]|\]\(|!\[|`|on\w+=", re.IGNORECASE)
    assert [text for row in shown.api.values() for text in strings(row) if pattern.search(text)] == []


def test_no_text_comes_to_another_article(shown, documents):
    names = {hostile.company(number): number for number in range(200)}
    wrong = []
    for row in api_articles(shown):
        number = number_of(row)
        said = " ".join([row["headline"], *strings(row["summary"])])
        wrong += [(number, name) for name, other in names.items() if name in said and other != number]
    for address, page in shown.pages.items():
        for part in page.split('<li class="article"')[1:]:
            number = int(OWN.search(part)[1])
            said = re.sub(r'title="[^"]*"', "", part.partition("</li>\n  </ul>")[0])
            wrong += [
                (address, number, name) for name, other in names.items() if name in said and other != number
            ]
    assert wrong == []


def test_an_article_stands_under_its_own_tickers_alone(shown):
    kinds = {hostile.number_of(one): one for one in hostile.articles()}
    told = {number_of(row): row["symbols"] for row in api_articles(shown)}
    assert told == {number: sorted(kinds[number].symbols) for number in told}
    related = {number_of(row): row["summary"]["related"] for row in api_articles(shown) if row["summary"]}
    assert [pair for pair in related.items() if set(pair[1]) - set(kinds[pair[0]].symbols)] == []


def test_nothing_of_a_prompt_and_no_mark_is_shown(shown, documents):
    for text in [*shown.pages.values(), json.dumps(shown.api)]:
        assert hostile.MARK not in text
        assert " ".join(hostile.MARK) not in text
    runs = set()
    for task in Task:
        told = words(prompts.text(task, "basic" if task is Task.ANALYSIS else ""))
        runs |= {tuple(told[at : at + 8]) for at in range(len(told) - 7)}
    texts = [text for _, text in made_texts(documents)] + [
        t for row in shown.api.values() for t in strings(row)
    ]
    for text in texts:
        said = words(text)
        assert not runs & {tuple(said[at : at + 8]) for at in range(len(said) - 7)}, text


def test_a_model_says_no_order_and_no_invented_figure(shown):
    pattern = re.compile(r"ignore all previous|system prompt|\b812\b|4471|\bEVIL\b|jane roe", re.IGNORECASE)
    said = [text for part in written(shown) for text in strings(part)]
    assert len(said) > 500
    assert [text for text in said if pattern.search(text)] == []


def test_a_figure_that_one_article_orders_for_the_others_stands_under_no_other(shown):
    kinds = {hostile.number_of(one): hostile.kind_of(one) for one in hostile.articles()}
    under = [kinds[number_of(row)] for row in api_articles(shown) if "9999" in json.dumps(row["summary"])]
    assert set(under) <= {"target of another"}


def written(shown: Shown) -> Iterator[object]:
    """All that a model wrote. What only repeats an article is held to what the article says."""
    for told in shown.api.values():
        for row in told.get("results", []):
            if row["summary"] and row["summary"]["is_generated"]:
                yield row["summary"]
        for card in told.get("personas", []):
            if card.get("is_generated"):
                yield card["sentences"]
