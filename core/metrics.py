"""Everything that is measured, in one place; `/metrics` shows it. Names are `onetape_noun_unit`.

Counters carry no user and no symbol: labels stay few, and a scrape stays small.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

registry = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"onetape_{name}", text, labels, registry=registry)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"onetape_{name}", text, labels, registry=registry)


# From a fast commit to a sender that was tried again.
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)


def _seconds(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(f"onetape_{name}", text, labels, registry=registry, buckets=SECONDS)


# --- What is away, and who had to do without it
dependency_down = _counter("dependency_down", "Requests answered 503 because a server is away.", "dependency")
redis_failures = _counter("redis_failures", "Times Redis failed and the next tier answered.", "used_by")
database_failures = _counter("database_failures", "Times the database failed and a copy answered.", "used_by")

# --- Quotes: which tier answered, and what was bought
quote_reads = _counter("quote_reads", "Quotes read, by the tier that answered.", "tier")
quotes_asked = _counter("quotes_asked", "Quotes asked for by readers that may buy.")
quotes_renewed_early = _counter("quotes_renewed_early", "Quotes fetched again shortly before they ran out.")
provider_requests = _counter("provider_requests", "Requests sent to a provider.", "provider", "endpoint")
provider_symbols = _counter("provider_symbols", "Symbols asked of a provider.", "provider")
provider_failures = _counter("provider_failures", "Outcomes that were no quote.", "provider", "reason")
provider_skips = _counter("provider_skips", "Providers passed over by the chain.", "provider", "reason")
ledger_rows_lost = _counter("ledger_rows_lost", "Calls that the ledger had to leave out.")
unit_flips = _counter("unit_flips", "Daily bars that came 100 times too high or too low and were put right.")
poll_symbols = _counter("poll_symbols", "Symbols that the timer asked of providers.", "priority")
poll_symbols_plain = _counter(
    "poll_symbols_plain",
    "Symbols that a timer would have asked that knows nothing but the shortest time to live.",
)

# --- The tape
upstream_connects = _counter("upstream_connects", "Upstream connections opened.", "provider")
upstream_bad_messages = _counter("upstream_bad_messages", "Upstream messages nobody could read.", "provider")
ticks_accepted = _counter("ticks_accepted", "Ticks believed.", "provider")
ticks_refused = _counter("ticks_refused", "Ticks not believed.", "provider", "reason")
quotes_published = _counter("quotes_published", "Conflated quotes published.")
tape_batches_dropped = _counter(
    "tape_batches_dropped", "Batches of believed ticks that alerts never got, Redis being away too long."
)
tape_step_failures = _counter(
    "tape_step_failures", "Steps of the tape that a dead dependency stopped.", "step"
)

# --- Live connections
sockets = _gauge("sockets", "Open live connections of this process.")
frames_sent = _counter("frames_sent", "Frames with prices sent to live connections.")
frames_skipped = _counter(
    "frames_skipped", "Frames not sent because the client was still busy with the last one."
)
slow_clients = _counter("slow_clients", "Live connections closed because they stopped reading.")
connections_refused = _counter(
    "connections_refused", "Live connections refused or closed, by the code told.", "code"
)
recoveries = _counter(
    "recoveries",
    "Live connections that came back with positions, by whether nothing was missing.",
    "recovered",
)
hub_symbols = _gauge("hub_symbols", "Tickers this process follows for its clients.")

# --- Alerts
alerts_fired = _counter("alerts_fired", "Fires committed, by what found them.", "kind", "source")
alerts_refused = _counter("alerts_refused", "Fires that nobody wanted, by why.", "reason")
alerts_overtaken = _counter("alerts_overtaken", "Decisions that an edit or the sweep had overtaken.")
alerts_ticks_refused = _counter(
    "alerts_ticks_refused", "Believed ticks that alerts do not look at, by why.", "reason"
)
alerts_gaps = _counter("alerts_gaps", "Holes in the stream of ticks that alerts read.")
alerts_step_failures = _counter(
    "alerts_step_failures", "Steps of the alerts that a dead dependency stopped.", "step"
)
alerts_committed_s = _seconds(
    "alerts_committed_seconds", "From the exchange's time of the tick to the committed notification."
)
alerts_decided_s = _seconds(
    "alerts_decided_seconds", "From the tick being received to the committed notification."
)
alerts_sent_s = _seconds(
    "alerts_sent_seconds", "From the committed notification to the channel having it.", "kind"
)
alerts_deliveries = _counter("alerts_deliveries", "Attempts and ends of deliveries, by how.", "outcome")

# --- Summaries and analyses
model_calls = _counter("model_calls", "Calls of a language model, by how they ended.", "task", "outcome")
model_tokens = _counter("model_tokens", "Tokens of language models, as they are billed.", "kind")
model_end_warnings = _counter("model_end_warnings", "Models in use that will soon end, or have.", "days")
summaries_made = _counter("summaries_made", "Texts stored, by who wrote them.", "task", "by")
orders_failed = _counter("orders_failed", "Answers of a model that were of no use to an order.", "reason")
claims_checked = _counter("claims_checked", "Numbers, dates and tickers that generated texts named.")
claims_ungrounded = _counter("claims_ungrounded", "Those that their source did not have; they were left out.")
articles_loaded = _counter("articles_loaded", "Articles that were new.")
articles_known = _counter("articles_known", "Articles that were told once more.")
articles_refused = _counter("articles_refused", "Articles that are not kept, by why.", "reason")
