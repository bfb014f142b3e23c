from __future__ import annotations

from tests.config.test_settings import start


def test_the_tape_does_not_start_with_settings_that_cannot_work():
    done = start("manage.py", "runtape", MARKETDATA_PROVIDERS="nonsense", REPLAY_SPEED="1000")

    assert done.returncode == 1
    assert "MARKETDATA_PROVIDERS names 'nonsense'" in done.stderr
    assert "REPLAY_SPEED is 1000" in done.stderr
    assert "Traceback" not in done.stderr
