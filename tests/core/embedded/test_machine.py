from __future__ import annotations

from core.embedded.machine import last_words, share_mb
from core.embedded.postgres import postgres_settings

GB = 1024**3


def test_24_gib_give_the_settings_that_were_measured():
    found = postgres_settings(24 * GB)

    assert (found["shared_buffers"], found["work_mem"], found["max_wal_size"]) == ("1024MB", "64MB", "4096MB")
    assert (found["fsync"], found["synchronous_commit"], found["max_connections"]) == ("on", "on", "200")


def test_a_small_machine_gives_less_but_never_too_little():
    found = postgres_settings(GB // 2)

    assert (found["shared_buffers"], found["work_mem"], found["max_wal_size"]) == ("32MB", "4MB", "256MB")


def test_a_share_stays_within_its_bounds():
    assert [share_mb(memory * GB, 10, 200, 300) for memory in (1, 2.5, 100)] == [200, 256, 300]


def test_the_last_words_are_the_error_not_the_good_bye():
    stamp = "2026-11-20 12:10:01.171 UTC [30107] "
    log = f"{stamp}FATAL: no lock file: No space left on device\n{stamp}PANIC: so\n{stamp}LOG: shut down\n"

    assert last_words(log) == "FATAL: no lock file: No space left on device"
    assert last_words("LOG: starting\nLOG: shut down\n") == "LOG: shut down"
    assert last_words("") == "it left no word"
