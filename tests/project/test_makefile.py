from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    # Not a part of the `make test` that runs this: its flags and arguments would reach the inner one.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))
    }
    return subprocess.run(
        ["make", *argv], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


def test_a_python_too_old_is_refused_by_name(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()

    done = make(tmp_path, "up", "PYTHON=false")

    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("Onetape needs Python 3.11 or newer as 'false'")


def test_a_second_run_installs_nothing(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    (tmp_path / ".venv").mkdir()
    for stamp in ("made", "runtime"):
        (tmp_path / ".venv" / stamp).touch()

    planned = make(tmp_path, "-n", "up").stdout

    assert "pip" not in planned
    assert planned.rstrip().endswith("exec .venv/bin/python manage.py up")


def started_with(folder: Path, dotenv: str, **environment: str) -> dict[str, str]:
    """What `make up` hands on to the program, from this .env and this caller's environment."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").touch()
    (folder / ".env").write_text(dotenv)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for stamp in ("made", "runtime"):
        (folder / ".venv" / stamp).touch()
    program = folder / ".venv" / "bin" / "python"
    program.write_text("#!/bin/sh\nexec env -0\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "up"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        capture_output=True,
        check=True,
    )
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


def test_the_file_env_gives_what_the_caller_did_not(tmp_path):
    found = started_with(tmp_path, 'ALLOWED_HOSTS="a.example.com,b.example.com"\nDEBUG=1\n')

    assert (found["ALLOWED_HOSTS"], found["DEBUG"]) == ("a.example.com,b.example.com", "1")


def test_the_caller_wins_over_the_file_env(tmp_path):
    odd = 'it\'s "$HOME" `id`\n; exit 1'

    found = started_with(
        tmp_path,
        "REPLAY_SPEED=1\nDATABASE_URL=\nSECRET_KEY=\n",
        DATABASE_URL="postgres://db/x",
        SECRET_KEY=odd,
    )

    assert (found["DATABASE_URL"], found["SECRET_KEY"]) == ("postgres://db/x", odd)
    assert found["REPLAY_SPEED"] == "1"


def test_a_value_of_the_caller_wins_over_a_file_that_env_names(tmp_path):
    found = started_with(tmp_path, "SECRET_KEY_FILE=/run/secrets/key\n", SECRET_KEY="mine")

    assert found["SECRET_KEY"] == "mine"
    assert not found.get("SECRET_KEY_FILE")


def test_the_example_as_it_stands_changes_nothing(tmp_path):
    given = {
        "DATABASE_URL": "postgres://db/x",
        "REDIS_URL": "redis://cache",
        "DATA_DIR": "/srv/x",
        "HTTPS": "1",
    }

    found = started_with(tmp_path, (ROOT / ".env.example").read_text(), **given)

    assert {name: found[name] for name in given} == given
