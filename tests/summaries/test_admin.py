from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from core import clock
from marketdata.models import Price
from summaries import orders
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Outcome
from summaries.models import Article, Budget, ModelEntry, Order, RemoteBatch, Summary
from tests.factories import make_staff, make_ticker, make_user
from tests.summaries.stored import (
    MODEL,
    make_analysis,
    make_article,
    make_call,
    make_earnings_summary,
    make_model,
    make_order,
    make_summary,
    make_transcript,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOSTILE = '<script>alert("1")</script>'
ALL = (
    "article", "transcript", "summary", "earningssummary", "analysis", "modelentry", "budget", "modelcall", "order",
    "remotebatch",
)  # fmt: skip
READ_ONLY = [name for name in ALL if name not in {"modelentry", "budget"}]


@pytest.fixture(autouse=True)
def _at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def staff(client):
    user = make_staff()
    client.force_login(user)
    return user


@pytest.fixture(autouse=True)
def wakes(monkeypatch) -> list[bool]:
    """Nobody is asked to buy anything here."""
    asked: list[bool] = []
    monkeypatch.setattr(orders, "wake", lambda: asked.append(True))
    return asked


def url(model: str, *args: object) -> str:
    return reverse(f"admin:summaries_{model}_{'change' if args else 'changelist'}", args=args)


def listed(client, page: str, **query: object) -> list:
    return [row.pk for row in client.get(url(page), query).context["cl"].result_list]


def act(client, model: str, action: str, *rows) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    query = "?state=all" if model == "order" else ""
    return client.post(url(model) + query, chosen, follow=True).content.decode()


def text_of(client, name: str, *args: object, **query: object) -> str:
    page = client.get(url(name, *args), query).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def clerk(client, *codenames: str) -> None:
    user = make_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)


def one_of_each():
    ticker = make_ticker()
    article, transcript = make_article(ticker), make_transcript(ticker)
    analysis = make_analysis(ticker)
    batch = RemoteBatch.objects.create(model=MODEL, external_id=f"batch {article.pk}")
    for about in (article, transcript, analysis):
        make_order(about, symbols=[ticker.symbol], batch=batch)
    model = make_model(f"model {article.pk}", fallback=make_model(f"next {article.pk}"))
    return {
        "article": article, "transcript": transcript, "summary": make_summary(article),
        "earningssummary": make_earnings_summary(transcript), "analysis": analysis, "modelentry": model,
        "budget": Budget.objects.create(scope="tier", name=f"t{article.pk}", usd_per_day=1),
        "modelcall": make_call(batch=batch), "order": Order.objects.latest("pk"), "remotebatch": batch,
    }  # fmt: skip


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("model", "queries"),
    [
        # session, user, count, rows in each
        ("article", 8),  # providers to filter by, tickers, texts, orders
        ("transcript", 9),  # providers, years and quarters to filter by, texts, orders
        ("summary", 5),  # models to filter by
        ("earningssummary", 5),
        ("analysis", 5),
        ("modelentry", 10),  # vendors to filter by, calls, three kinds of texts, prices
        ("budget", 7),  # how they stand: the budgets, what was spent; whether one is for everything
        ("modelcall", 6),  # models to filter by, sums
        ("order", 5),  # tiers to filter by
        ("remotebatch", 4),
    ],
)
def test_each_list_costs_the_same_queries_for_any_length(
    client, staff, model, queries, rows, django_assert_num_queries
):
    for _ in range(rows):
        one_of_each()

    with django_assert_num_queries(queries):
        answer = client.get(url(model))
    assert answer.status_code == 200


@pytest.mark.parametrize("model", ALL)
def test_each_page_opens_with_every_row_filtered_and_searched(client, staff, model):
    row = one_of_each()[model]

    for query in ({}, {"q": "AAPL"}, {"q": "а\u200b%_"}, {"q": "a\x00"}, {"p": "999999"}, {"o": "1.2"}):
        assert client.get(url(model), query).status_code in {200, 302}, query
    assert client.get(url(model, row.pk)).status_code == 200
    changelist = client.get(url(model)).context["cl"]
    for spec in changelist.filter_specs:
        for choice in spec.choices(changelist):
            assert client.get(url(model) + choice["query_string"]).status_code == 200, choice


@pytest.mark.parametrize("model", ALL)
def test_staff_without_permission_sees_nothing(client, model):
    clerk(client)

    assert client.get(url(model)).status_code == 403


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_machines_write_can_be_neither_added_nor_changed_nor_deleted(client, staff, model):
    row = one_of_each()[model]

    assert client.get(reverse(f"admin:summaries_{model}_add")).status_code == 403
    assert client.post(url(model, row.pk), {}).status_code == 403
    assert client.post(reverse(f"admin:summaries_{model}_delete", args=[row.pk])).status_code == 403


# --- articles, calls and what was written of them


def test_whatever_a_text_holds_is_shown_as_text(client, staff):
    ticker = make_ticker()
    article = make_article(ticker, headline=HOSTILE, text=HOSTILE, url=f"https://example.com/{HOSTILE}")
    transcript = make_transcript(ticker, title=HOSTILE, speeches=[{"speaker": HOSTILE, "text": HOSTILE}])
    hostile = {"sentences": [HOSTILE]}
    rows = {
        "article": article,
        "transcript": transcript,
        "summary": make_summary(article, key_points=[HOSTILE], related=["A<b>"], **hostile),
        "earningssummary": make_earnings_summary(
            transcript, guidance=[HOSTILE], key_metrics=[{"name": HOSTILE, "value": HOSTILE}], **hostile
        ),
        "analysis": make_analysis(
            ticker, criteria=[{"name": HOSTILE}], inputs={HOSTILE: {"value": HOSTILE}}, **hostile
        ),
        "order": make_order(article, state="dead", last_error=HOSTILE),
        "modelcall": make_call(error=HOSTILE),
    }

    for model, row in rows.items():
        for page in (client.get(url(model)), client.get(url(model, row.pk))):
            assert "<script>alert" not in page.content.decode(), model
        assert "&lt;script&gt;alert" in client.get(url(model, row.pk)).content.decode(), model


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("https://example.com/a", True),
        ("http://example.com/a", True),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_the_original_is_linked_where_it_lies_in_the_web(client, staff, address, leads):
    article = make_article(url=address)

    page = client.get(url("article", article.pk)).content.decode()

    assert (f'<a href="{address}" rel="noopener noreferrer"' in page) is leads
    assert 'href="javascript' not in page


def test_an_article_says_who_wrote_of_it_and_what_still_waits(client, staff):
    aapl = make_ticker("AAPL")
    article = make_article(aapl, make_ticker("MSFT"), headline="Apples")
    make_summary(article, EXTRACTIVE)
    make_summary(article)
    make_order(article, state="dead", failures=2, last_error="the model refused")
    make_order(make_article(), state="done")

    shown = text_of(client, "article")
    detail = text_of(client, "article", article.pk)

    assert f"AAPL , MSFT 2026-11-21 12:00 The Daily {MODEL}, {EXTRACTIVE} dead, 2 failed" in shown
    assert f"{MODEL} 2026-11-21 12:00 UTC 75.0 % of 4 0" in detail
    assert "dead, 2 failed minutes 2026-11-21 12:00 UTC the model refused" in detail


def test_articles_are_found_by_symbol_by_words_and_by_what_was_made_of_them(client, staff):
    aapl = make_ticker("AAPL")
    by_model, extractive, bare = make_article(aapl, headline="Apples fall"), make_article(), make_article()
    make_summary(by_model)
    make_summary(by_model, EXTRACTIVE)
    make_summary(extractive, EXTRACTIVE)
    make_order(extractive)
    make_order(bare, state="dead")

    assert listed(client, "article", q="aapl") == [by_model.pk]
    assert listed(client, "article", q="apples FALL") == [by_model.pk]
    assert listed(client, "article", summary="model") == [by_model.pk]
    assert listed(client, "article", summary="extractive") == [extractive.pk]
    assert listed(client, "article", summary="none") == [bare.pk]
    assert listed(client, "article", summary="waiting") == [extractive.pk]
    assert listed(client, "article", summary="dead") == [bare.pk]


def test_a_withdrawn_article_keeps_headline_and_link_and_nothing_else(client, staff):
    article, other = make_article(), make_article()
    for one in (article, other):
        make_summary(one)
        make_order(one)

    assert "1 withdrawn." in act(client, "article", "withdraw", article)

    assert list(Article.objects.exclude(text="")) == [other]
    assert [row.article for row in Summary.objects.all()] == [other]
    assert [row.article for row in Order.objects.all()] == [other]
    assert Article.objects.get(pk=article.pk).url == article.url


@pytest.mark.parametrize("model", ["article", "transcript"])
def test_written_anew_means_that_what_a_model_wrote_goes_and_is_wanted_once_more(
    client, staff, model, monkeypatch
):
    made = {"article": make_article, "transcript": make_transcript}[model]()
    texts = {"article": make_summary, "transcript": make_earnings_summary}[model]
    texts(made)
    kept = texts(made, EXTRACTIVE)
    make_order(made, state="done")
    running = make_order(made, state="running")
    wanted = []
    monkeypatch.setattr(orders, "want_summaries", lambda rows: wanted.extend(rows) or len(rows))
    monkeypatch.setattr(orders, "want_earnings", lambda row: wanted.append(row) or make_order(row))

    assert "1 are wanted of a model." in act(client, model, "write_anew", made)

    assert list(made.summaries.all()) == [kept]
    assert wanted == [made]
    assert Order.objects.filter(state="done").count() == 0
    assert Order.objects.filter(pk=running.pk).exists()


def test_acts_need_the_right_to_change(client):
    clerk(client, "view_article", "view_order")
    article = make_article()
    order = make_order(article, state="dead")

    act(client, "article", "withdraw", article)
    act(client, "order", "try_again", order)

    assert Article.objects.get().text != ""
    assert Order.objects.get().state == "dead"


def test_texts_are_found_by_model_and_by_how_they_are_grounded(client, staff):
    make_model()
    good = make_summary(make_article(), claims=3, grounded=3)
    bad = make_summary(make_article(), EXTRACTIVE, claims=3, grounded=2)
    cut = make_summary(make_article(), claims=0, grounded=0, dropped=1)

    assert listed(client, "summary", grounding="all") == [good.pk]
    assert sorted(listed(client, "summary", grounding="dropped")) == [bad.pk, cut.pk]
    assert listed(client, "summary", model=EXTRACTIVE) == [bad.pk]
    assert "66.7 % of 3" in text_of(client, "summary", bad.pk)


def test_an_analysis_shows_what_it_was_computed_from(client, staff):
    row = make_analysis()

    shown = text_of(client, "analysis", row.pk)

    assert "P/E 12 of 20 Its P/E is 20." in shown
    assert "eps ttm 6.42 2026-09-30 simulator" in shown


# --- orders


def test_done_orders_are_shown_only_where_they_are_asked_for(client, staff):
    long_ago = NOW - timedelta(hours=1)
    done = make_order(state="done", done_at=NOW)
    dead = make_order(state="dead", done_at=NOW, symbols=["AAPL"])
    fresh = make_order(failures=1, last_error="missing in the answer")
    late = make_order(created_at=long_ago)
    overnight = make_order(created_at=long_ago, lane="overnight")

    assert set(listed(client, "order")) == {dead.pk, fresh.pk, late.pk, overnight.pk}
    assert listed(client, "order", state="done") == [done.pk]
    assert listed(client, "order", state="late") == [late.pk]
    assert listed(client, "order", state="failed") == [fresh.pk]
    assert listed(client, "order", q="aapl") == [dead.pk]
    assert len(listed(client, "order", state="all")) == 5


def test_an_order_leads_to_what_it_is_about_and_says_how_old_it_is(client, staff):
    analysis = make_analysis(make_ticker("AAPL"))
    make_order(analysis, created_at=NOW - timedelta(hours=5), state="dead", done_at=NOW - timedelta(hours=2))

    page = client.get(url("order")).content.decode()

    assert f'<a href="{url("analysis", analysis.pk)}">AAPL, Basic</a>' in page
    assert "3.0 h" in page


def test_an_order_leads_to_the_call_that_asked_for_it_last(client, staff):
    call = make_call()
    order = make_order(call=call)

    page = client.get(url("order", order.pk)).content.decode()

    assert f'<a href="{url("modelcall", call.pk)}">' in page


def test_what_was_given_up_is_tried_again(client, staff, wakes):
    dead, done = make_order(state="dead", failures=2), make_order(state="done")

    assert "1 are tried again." in act(client, "order", "try_again", dead, done)

    dead.refresh_from_db()
    assert (dead.state, dead.failures) == ("queued", 0)
    assert wakes


def test_what_waits_is_given_up_and_what_runs_is_left_alone(client, staff):
    waits, runs = make_order(), make_order(state="running")

    assert "1 given up." in act(client, "order", "give_up", waits, runs)

    waits.refresh_from_db()
    runs.refresh_from_db()
    assert (waits.state, waits.done_at, waits.last_error) == (OrderState.DEAD, NOW, "Given up by a person.")
    assert runs.state == OrderState.RUNNING


def test_what_waits_is_put_into_the_interactive_lane(client, staff, wakes):
    later = make_order(lane="overnight", not_before=NOW + timedelta(hours=9))
    sent = make_order(lane="overnight", batch=RemoteBatch.objects.create(model=MODEL, external_id="b"))

    assert "1 are asked for next." in act(client, "order", "hurry", later, sent)

    later.refresh_from_db()
    sent.refresh_from_db()
    assert (later.lane, later.not_before, sent.lane) == (Lane.INTERACTIVE, NOW, Lane.OVERNIGHT)
    assert wakes


# --- models, budgets, calls


def price(unit: str, usd: str, **fields) -> None:
    Price.objects.create(
        provider="openai",
        plan=MODEL,
        unit=unit,
        usd=Decimal(usd),
        valid_from=NOW - timedelta(days=1),
        **fields,
    )


def test_a_model_shows_its_price_its_end_and_how_good_it_was(client, staff):
    cheaper = make_model("tinier-1")
    make_model(end_of_life=date(2026, 12, 1), fallback=cheaper, cheaper=cheaper)
    price("ktoken_in", "0.00005")
    price("ktoken_cached", "0.000005")
    price("ktoken_out", "0.0004")
    price("ktoken_in", "0.000025", endpoint="batch")
    for outcome in (Outcome.OK, Outcome.PARTLY, Outcome.USELESS, Outcome.DOWN):
        make_call(outcome=outcome.value)
    make_call(at=NOW - timedelta(days=31))
    make_summary(make_article(), claims=4, grounded=3)
    make_earnings_summary(make_transcript(), claims=4, grounded=3)
    make_analysis(model=MODEL, claims=2, grounded=2)
    make_analysis(claims=9, grounded=0)

    shown = text_of(client, "modelentry")

    assert (
        f"{MODEL} openai $0.05 in, $0.005 cached, $0.4 out in 10 days, 2026-12-01 tinier-1 tinier-1 4 "
        "$0.008000 66.7 % of 3 80.0 % of 10"
    ) in shown
    assert "tinier-1 openai no price in the book –" in shown


def test_models_are_found_by_when_they_end(client, staff):
    over = make_model("over", end_of_life=date(2026, 11, 21))
    soon = make_model("soon", end_of_life=date(2026, 12, 1), fallback=over)
    make_model("late", end_of_life=date(2027, 12, 1), fallback=over)
    unknown = make_model("unknown")
    mine = {over.pk, soon.pk, unknown.pk}

    found = {
        word: mine & set(listed(client, "modelentry", ends=word))
        for word in ("over", "soon", "stranded", "unknown")
    }

    assert found == {"over": {over.pk}, "soon": {soon.pk}, "stranded": {over.pk}, "unknown": {unknown.pk}}


def test_a_model_is_never_asked_instead_of_itself(client, staff):
    first = make_model("first")
    second = make_model("second", fallback=first)
    form = {"name": "first", "vendor": "openai", "context_tokens": 1000, "max_output_tokens": 100}

    page = client.post(url("modelentry", first.pk), {**form, "fallback": second.pk}).content.decode()

    assert "This leads back to the model itself." in page
    assert client.post(url("modelentry", first.pk), {**form, "note": "n"}).status_code == 302
    assert ModelEntry.objects.get(pk=first.pk).note == "n"


def test_a_budget_shows_what_is_used_today_and_what_that_means(client, staff):
    Budget.objects.create(scope="day", usd_per_day=Decimal("0.01"))
    Budget.objects.create(scope="lane", name="minutes", usd_per_day=Decimal("0.004"))
    make_call(counted_femto=Decimal(3 * 10**12))
    make_call(outcome="open", counted_femto=Decimal(10**12))
    make_call(at=NOW - timedelta(days=1), counted_femto=Decimal(9 * 10**12))

    shown = text_of(client, "budget")

    assert "Everything $0.01 $0.003000 $0.001000 40.0 % everything 80, 90, 95 %" in shown
    assert "A lane minutes $0.004 $0.003000 $0.001000 100.0 % nothing 80, 90, 95 %" in shown


def test_without_a_row_the_budget_of_the_settings_is_shown(client, staff, settings):
    settings.LLM_BUDGET_USD = Decimal(2)
    make_call(counted_femto=Decimal(10**15))

    assert "Everything, by LLM_BUDGET_USD $1.000000 of $2 today: everything is bought" in text_of(
        client, "budget"
    )


@pytest.mark.parametrize(
    ("scope", "name", "told"),
    [
        ("day", "x", "Leave the name empty."),
        ("lane", "fast", "Write one of: interactive, minutes, overnight."),
        ("tier", "", "Write one of: free, pro, expert."),
    ],
)
def test_a_budget_of_nothing_is_refused(client, staff, scope, name, told):
    form = {"scope": scope, "name": name, "usd_per_day": "1", "warn_percent": 80, "cheaper_percent": 90}
    page = client.post(reverse("admin:summaries_budget_add"), {**form, "cached_only_percent": 95})

    assert told in page.content.decode()
    assert Budget.objects.count() == 0


def test_calls_are_summed_as_they_are_chosen(client, staff):
    make_model()
    for lane in ("minutes", "minutes", "interactive"):
        make_call(lane=lane)
    make_call(outcome=Outcome.USELESS.value, answered=0)
    make_call(at=NOW - timedelta(days=40), model="other")

    assert "Chosen, last 30 days $0.008000 for 4 calls: 27 of 40 items could be used" in text_of(
        client, "modelcall"
    )
    assert "4000 tokens in (800 cached), 1200 out" in text_of(client, "modelcall")
    assert "$0.004000 for 2 calls" in text_of(client, "modelcall", lane="minutes", outcome="partly")
    assert "Chosen $0.010000 for 5 calls" in text_of(client, "modelcall", at__gte="2026-01-01 00:00:00+00:00")
    assert len(listed(client, "modelcall", trouble="wasted")) == 1
    assert len(listed(client, "modelcall", q="aapl")) == 5


def test_an_open_call_says_that_it_can_cost_that_much(client, staff):
    make_call(outcome="open", output_tokens=0)

    assert "at most $0.002000" in text_of(client, "modelcall")


def test_an_overnight_batch_shows_its_orders_and_what_it_cost(client, staff):
    batch = RemoteBatch.objects.create(model=MODEL, external_id="batch-7", sent_at=NOW - timedelta(hours=3))
    make_order(batch=batch)
    make_order(batch=batch)
    make_call(batch=batch)
    make_call(batch=batch)

    assert f"batch-7 {MODEL} Sent 3.0 h 2 $0.004000" in text_of(client, "remotebatch")


@pytest.mark.parametrize(
    "page",
    [
        "article/?provider=",
        "summary/?model=",
        "order/?state=",
        "modelcall/?tier=",
        "analysis/?persona__exact=",
        "transcript/?year=",
        "earningssummary/?model=",
        "modelentry/?vendor=",
        "modelentry/?vendor__exact=",
        "budget/?scope=",
        "budget/?scope__exact=",
        "remotebatch/?state__exact=",
        *(f"{name}/?q=" for name in ALL),
    ],
)
def test_a_filter_that_no_database_takes_leads_back_to_the_list(client, staff, page):
    answer = client.get(f"/admin/summaries/{page}%00")

    assert (answer.status_code, answer["Location"]) == (302, f"/admin/summaries/{page.partition('?')[0]}?e=1")
