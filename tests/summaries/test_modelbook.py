from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.management import call_command

from core import clock
from marketdata.models import Price
from summaries import modelbook
from summaries.kinds import Step
from summaries.llm import registry
from summaries.modelbook import NoModel, in_use, load, model_of, pick, wanted_model
from summaries.models import ModelEntry
from tests.summaries.money import make_entry, make_prices, models

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 10)
LAST_MOMENT = datetime(2026, 11, 9, 23, 59, 59, 999_999, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def day(settings, monkeypatch):
    """The clock, to be set."""

    class Day:
        now = MIDNIGHT

    monkeypatch.setattr(clock, "now", lambda: Day.now)
    settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "a"
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = "", registry.OPENAI_URL
    return Day


@pytest.fixture
def named():
    with models("a", "b", "c") as found:
        yield found


# --- which is asked


def test_without_a_model_none_is_wanted_and_none_is_asked() -> None:
    make_prices("a")

    assert wanted_model() == ""
    with pytest.raises(NoModel, match="no language model is configured"):
        pick(Step.NORMAL)


def test_a_model_that_nobody_knows_is_asked_once_it_has_a_price(named) -> None:
    assert wanted_model() == "a"
    with pytest.raises(NoModel, match="no price for openai a"):
        pick(Step.NORMAL)

    make_prices("a")

    assert pick(Step.NORMAL).name == "a"


def test_prices_of_another_vendor_are_no_prices(named, settings) -> None:
    make_prices("a")
    settings.LLM_VENDOR = "groq"

    with pytest.raises(NoModel, match="no price for groq a"):
        pick(Step.NORMAL)


def test_one_price_for_all_models_of_a_server_will_do(named) -> None:
    make_prices("", "0", "0")

    assert pick(Step.NORMAL).name == "a"


def test_a_model_is_asked_until_the_last_moment_before_its_end(named, day) -> None:
    make_entry("a", end_of_life=TODAY, fallback=make_entry("b"))
    make_prices("")

    day.now = LAST_MOMENT
    assert (wanted_model(), pick(Step.NORMAL).name) == ("a", "a")
    day.now = MIDNIGHT
    assert (wanted_model(), pick(Step.NORMAL).name) == ("b", "b")


def test_a_replacement_that_has_ended_is_replaced_as_well(named) -> None:
    make_prices("")
    b = make_entry("b", end_of_life=TODAY, fallback=make_entry("c"))
    make_entry("a", end_of_life=TODAY, fallback=b)

    assert wanted_model() == "c"


def test_models_that_replace_each_other_and_have_ended_are_none(named) -> None:
    make_prices("")
    a = make_entry("a", end_of_life=TODAY)
    a.fallback = make_entry("b", end_of_life=TODAY, fallback=a)
    a.save()

    assert wanted_model() == ""
    with pytest.raises(NoModel, match="a has ended and nothing that replaces it has not"):
        pick(Step.NORMAL)


def test_a_model_that_replaces_itself_is_none(named) -> None:
    a = make_entry("a", end_of_life=TODAY)
    a.fallback = a
    a.save()

    assert wanted_model() == ""


@pytest.mark.parametrize(
    ("step", "name"),
    [(Step.NORMAL, "a"), (Step.WARN, "a"), (Step.CHEAPER, "b"), (Step.CACHED_ONLY, "b")],
)
def test_the_cheaper_one_is_asked_when_little_is_left(named, step, name) -> None:
    make_prices("")
    make_entry("a", cheaper=make_entry("b"))

    assert pick(step).name == name


def test_nothing_is_asked_when_nothing_is_left(named) -> None:
    make_prices("")

    with pytest.raises(NoModel, match="used up"):
        pick(Step.EXTRACTIVE)


def test_a_cheaper_one_that_has_ended_or_has_no_price_is_left_out(named) -> None:
    make_prices("a")
    cheaper = make_entry("b")
    make_entry("a", cheaper=cheaper)
    assert pick(Step.CHEAPER).name == "a"

    make_prices("b")
    assert pick(Step.CHEAPER).name == "b"

    cheaper.end_of_life = TODAY
    cheaper.save()
    assert pick(Step.CHEAPER).name == "a"


def test_texts_are_ordered_of_the_usual_model_whatever_the_budget(named) -> None:
    make_entry("a", cheaper=make_entry("b"))

    assert wanted_model() == "a"


def test_what_was_asked_before_can_still_be_fetched(named) -> None:
    make_entry("b", end_of_life=date(2020, 1, 1))

    assert model_of("b").name == "b"


def test_what_is_known_of_a_model_is_handed_on(settings, monkeypatch) -> None:
    settings.OPENAI_API_KEY = "key"
    make_prices("a")
    make_entry("a", supports_schema=False, supports_batch=True, context_tokens=7, max_output_tokens=5)
    told = {}
    monkeypatch.setattr(registry, "make", lambda name, **fields: told.update(fields, name=name))

    pick(Step.NORMAL)

    assert told == {
        "name": "a", "vendor": "openai", "supports_schema": False, "supports_batch": True,
        "context_tokens": 7, "max_output_tokens": 5,
    }  # fmt: skip


def test_in_use_is_whatever_may_be_asked_one_day() -> None:
    c = make_entry("c", cheaper=make_entry("d"))
    make_entry("a", cheaper=make_entry("b"), fallback=c)
    make_entry("e")

    assert [entry.name for entry in in_use()] == ["a", "b", "c", "d"]


# --- what is shipped


def book() -> dict[tuple[str, str, str], Decimal]:
    return {(row.plan, row.endpoint, row.unit): row.usd for row in Price.objects.all()}


def test_the_usual_models_are_shipped_with_their_relations(settings) -> None:
    settings.LLM_MODEL = "gpt-5-mini"

    load()

    entry = ModelEntry.objects.get(name="gpt-5-mini")
    assert (entry.vendor, entry.supports_schema, entry.supports_batch) == ("openai", True, True)
    assert (entry.cheaper.name, entry.fallback.name) == ("gpt-5-nano", "gpt-6-luna")
    assert entry.end_of_life == date(2026, 12, 11)
    assert ModelEntry.objects.get(name="gpt-3.5-turbo").end_of_life == date(2026, 10, 23)
    assert ModelEntry.objects.get(name="openai/gpt-oss-120b").vendor == "groq"


@pytest.mark.parametrize("vendor", ["openai", "groq"])
def test_every_shipped_model_has_a_published_price_and_leads_to_one_that_lasts(settings, vendor) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL = (
        vendor,
        "gpt-6-luna" if vendor == "openai" else "openai/gpt-oss-20b",
    )

    assert load().unknown == []

    for entry in ModelEntry.objects.filter(vendor=vendor):
        found = list(modelbook.replacements(entry))
        assert [one.name for one in found if one.end_of_life is None], entry.name
        related = {one.vendor for one in (*found, entry.cheaper) if one is not None}
        assert related == {vendor}, entry.name


def test_no_shipped_model_has_a_cheaper_one_that_is_dearer(settings) -> None:
    settings.LLM_MODEL = "gpt-6-luna"
    load()
    prices = book()

    for entry in ModelEntry.objects.filter(vendor="openai", cheaper__isnull=False):
        for unit in ("ktoken_in", "ktoken_out"):
            assert prices[entry.cheaper.name, "", unit] < prices[entry.name, "", unit], entry.name


def test_published_prices_become_lines_of_the_book_with_batches_at_half(settings) -> None:
    settings.LLM_MODEL = "gpt-5-mini"

    load()

    prices = {key[1:]: usd for key, usd in book().items() if key[0] == "gpt-5-mini"}
    assert prices == {
        ("", "ktoken_in"): Decimal("0.00025"),
        ("", "ktoken_cached"): Decimal("0.000025"),
        ("", "ktoken_out"): Decimal("0.002"),
        ("batch", "ktoken_in"): Decimal("0.000125"),
        ("batch", "ktoken_cached"): Decimal("0.0000125"),
        ("batch", "ktoken_out"): Decimal("0.001"),
    }
    note = Price.objects.filter(plan="gpt-5-mini", unit="ktoken_in", endpoint="").get().note
    assert note.startswith("Loaded: genai-prices ")
    assert note.endswith(", 0.00025 USD")


def test_what_is_written_into_a_cache_at_a_higher_price_is_priced_so(settings) -> None:
    settings.LLM_MODEL = "gpt-6-luna"

    load()

    prices = book()
    units = [prices["gpt-6-luna", "", unit] for unit in ("ktoken_in", "ktoken_cached", "ktoken_out")]
    assert units == [Decimal("0.000125"), Decimal("0.00001"), Decimal("0.0005")]


def test_loading_again_changes_nothing(settings) -> None:
    settings.LLM_MODEL = "gpt-5-mini"
    first = load()
    assert (first.models > 20, first.added > 100, first.ended, first.unknown) == (True, True, 0, [])

    assert load() == modelbook.Loaded()


def test_what_staff_changed_stays(settings) -> None:
    settings.LLM_MODEL = "gpt-5-mini"
    load()
    entry = ModelEntry.objects.get(name="gpt-5-mini")
    entry.context_tokens, entry.end_of_life, entry.end_of_life_source, entry.fallback = (
        1,
        None,
        "they said so",
        None,
    )
    entry.save()
    line = Price.objects.get(plan="gpt-5-mini", unit="ktoken_in", endpoint="")
    line.usd = Decimal("0.9")
    line.save()

    assert load() == modelbook.Loaded()

    entry.refresh_from_db()
    line.refresh_from_db()
    assert (entry.context_tokens, entry.end_of_life, entry.fallback, line.usd) == (
        1,
        None,
        None,
        Decimal("0.9"),
    )


def test_an_end_that_becomes_known_later_is_added(settings) -> None:
    load()
    ModelEntry.objects.filter(name="gpt-5-mini").update(end_of_life=None, end_of_life_source="")

    load()

    entry = ModelEntry.objects.get(name="gpt-5-mini")
    assert (entry.end_of_life, entry.end_of_life_source[:8]) == (date(2026, 12, 11), "https://")


@pytest.mark.parametrize("plan", ["gpt-5-mini", ""])
def test_what_an_operator_entered_for_it_counts(settings, plan) -> None:
    settings.LLM_MODEL = "gpt-5-mini"
    make_prices(plan, "0.7", "0.7", "0.7")

    load()

    assert not Price.objects.filter(plan="gpt-5-mini", note__startswith="Loaded").exists()


def test_a_published_price_that_changed_counts_from_now_on(settings, day) -> None:
    settings.LLM_MODEL = "gpt-5-mini"
    load()
    old = Price.objects.get(plan="gpt-5-mini", unit="ktoken_out", endpoint="")
    old.usd, old.note = Decimal("0.003"), "Loaded: genai-prices 0.0.1, 0.003 USD"
    old.save()

    report = load()

    old.refresh_from_db()
    new = Price.objects.get(plan="gpt-5-mini", unit="ktoken_out", endpoint="", valid_to=None)
    assert (report.added, report.ended) == (1, 1)
    assert (old.valid_to, new.valid_from, new.usd) == (MIDNIGHT, MIDNIGHT, Decimal("0.002"))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1", "http://127.0.0.1:8080/v1", "http://[::1]:8080/v1", "http://10.0.0.5/v1",
        "http://192.168.1.7:1234", "http://ollama:11434/v1", "https://llm.internal/v1", "http://gpu.local/v1",
    ],
)  # fmt: skip
def test_a_server_of_ones_own_costs_nothing(settings, url) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL, settings.OPENAI_BASE_URL = "local", "llama-small", url

    report = load()

    assert report.unknown == []
    lines = {(row.provider, row.plan, row.unit, row.usd) for row in Price.objects.all()}
    assert lines == {("local", "", unit, 0) for unit in ("ktoken_in", "ktoken_cached", "ktoken_out")}


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "http://8.8.8.8/v1"])
def test_a_server_elsewhere_that_no_list_knows_is_told(settings, url) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL, settings.OPENAI_BASE_URL = "else", "llama-small", url

    assert load().unknown == ["llama-small"]
    assert not Price.objects.exists()


def test_a_vendor_that_bills_is_billed_through_a_proxy_as_well(settings) -> None:
    settings.LLM_MODEL, settings.OPENAI_BASE_URL = "gpt-5-mini", "http://localhost:4000/v1"

    load()

    assert book()["gpt-5-mini", "", "ktoken_out"] == Decimal("0.002")


def test_a_server_that_is_no_longer_ones_own_is_no_longer_free(settings) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL, settings.OPENAI_BASE_URL = "x", "m", "http://localhost/v1"
    load()
    settings.OPENAI_BASE_URL = "https://api.example.com/v1"

    report = load()

    assert (report.ended, report.unknown) == (3, ["m"])


def test_the_configured_model_gets_an_entry_like_any_other(settings) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "gpt-of-tomorrow"

    assert load().unknown == ["gpt-of-tomorrow"]

    entry = ModelEntry.objects.get(name="gpt-of-tomorrow")
    assert (entry.vendor, entry.context_tokens, entry.end_of_life) == ("openai", 128_000, None)


def test_a_start_looks_up_prices_only_where_one_is_missing(settings, monkeypatch) -> None:
    settings.LLM_MODEL = "gpt-5-mini"
    assert load(if_needed=True).added == 0

    settings.OPENAI_API_KEY = "key"
    assert load(if_needed=True).added > 0

    monkeypatch.setattr(modelbook.modelprices, "lines_of", None)
    assert load(if_needed=True) == modelbook.Loaded()


def test_the_command_tells_what_it_did(settings) -> None:
    settings.LLM_MODEL = "nobody-knows-it"
    said, complained = io.StringIO(), io.StringIO()

    call_command("loadmodels", stdout=said, stderr=complained)

    assert "models added" in said.getvalue()
    assert complained.getvalue() == (
        "no price for openai nobody-knows-it. Enter what you pay in the price book.\n"
    )


def test_the_command_tells_it_to_machines() -> None:
    said = io.StringIO()

    call_command("loadmodels", "--json", stdout=said)

    assert set(json.loads(said.getvalue())) == {"models", "added", "ended", "unknown"}


@pytest.mark.parametrize(("vendor", "model"), [("v" * 21, "m"), ("openai", "m" * 81)])
def test_names_that_no_table_can_hold_are_told_and_stop_no_start(settings, vendor, model) -> None:
    settings.LLM_VENDOR, settings.LLM_MODEL, settings.OPENAI_BASE_URL = vendor, model, "http://localhost/v1"

    report = load(if_needed=True)

    assert (report.models > 20, report.unknown) == (True, [model])
    assert not ModelEntry.objects.filter(name=model).exists()
