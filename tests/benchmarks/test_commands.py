"""Each benchmark runs, prints its keys and finds everything right. How fast it was is no matter of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"name", "figures", "baseline", "ratio", "machine", "correct"}
FIGURES = {
    "alert_delivery": {
        "browser_p50_ms", "browser_p95_ms", "email_p95_ms", "webhook_p95_ms", "burst_s", "burst_browser_s", "fires",
    },
    "alert_pass": {
        "alerts", "tickers", "engine_us_per_tick", "sweep_0_ms", "sweep_10000_ms", "tick_to_commit_p95_ms",
        "accepted_to_commit_p95_ms", "load_s", "triggers", "rows_written", "explain",
    },
    "summaries": {
        "articles", "users", "model_calls", "calls_lower_bound", "cost_per_summary", "wrong_pairs",
        "quick_score_ms_p95",
    },
    "sharing": {
        "users", "tickers", "symbols_asked_per_ticker_refresh", "requests", "minimum_requests",
        "upstream_subscriptions", "distinct_tickers", "symbols_asked_after_doubling",
    },
    "subscriptions": {
        "ops_per_s", "bulk_ticker_ops_per_s", "operations", "drift", "deadlocks", "over_limit_users",
        "reconcile_s", "takeover_s", "http_ops_per_s",
    },
    "quote_cache": {
        "local_8_us_p50", "redis_8_us_p50", "redis_round_trips", "upsert_5000_ms_p50", "hot_percent", "table_growth",
    },
    "outage": {
        "cold_start_calls_per_symbol", "api_p95_ms", "api_p95_during_cut_ms", "calls_to_dead_vendor", "not_200",
    },
    "fanout": {
        "connections", "updates_per_s", "deliveries_per_s", "p50_ms", "p95_ms", "p99_ms", "server_mb",
        "server_cpu_percent", "client_cpu_percent", "seq_violations",
    },
}  # fmt: skip
RATIO = {
    "alert_delivery": "burst_vs_naive",
    "alert_pass": "sweep_vs_naive",
    "summaries": "cost_vs_per_user",
    "sharing": "unshared_vs_shared",
    "subscriptions": "vs_stored_counter",
    "quote_cache": "upsert_vs_single",
    "outage": "naive_vs_p95_during_cut",
    "fanout": "deliveries_vs_naive",
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_it_prints_its_keys_and_finds_everything_right(name):
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json"],
        check=False, cwd=ROOT, env=os.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout
    printed = json.loads(run.stdout.splitlines()[-1])
    assert set(printed) == PARTS
    assert printed["name"] == name
    assert printed["correct"] is True
    assert set(printed["figures"]) >= FIGURES[name]
    assert RATIO[name] in printed["ratio"]
    assert printed["baseline"]
    assert set(printed["machine"]) >= {"cores", "memory_mb", "python", "load_average"}


def test_an_unknown_benchmark_is_named():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        check=False,
    )

    assert run.returncode == 2
    assert f"There is no benchmark speed; there are {', '.join(NAMES)}." in run.stdout
