from __future__ import annotations

import tempfile
from pathlib import Path

from core import bundled
from core.bundled import LONGEST_RUN_DIR, Bundle


def test_sockets_are_below_the_data_folder():
    assert Bundle(Path("/srv/onetape/var")).redis_socket == Path("/srv/onetape/var/run/redis.sock")


def test_a_long_data_folder_gets_its_sockets_on_a_short_path():
    bundle = Bundle(Path("/" + "long/" * 40))

    assert len(str(bundle.run_dir)) <= LONGEST_RUN_DIR
    assert bundle.run_dir != Bundle(Path("/" + "other/" * 40)).run_dir


def test_every_command_finds_the_sockets_whatever_its_folder_for_temporary_files(monkeypatch, tmp_path):
    bundle = Bundle(Path("/" + "long/" * 40))
    before = bundle.run_dir

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # what was found before is remembered there

    assert bundle.run_dir == before


def test_without_the_usual_folder_the_next_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "SHORT_FOLDERS", (tmp_path / "missing", tmp_path))
    assert bundled.short_folder() == tmp_path

    monkeypatch.setattr(bundled, "SHORT_FOLDERS", (tmp_path / "missing",))
    assert bundled.short_folder() == Path(tempfile.gettempdir())
