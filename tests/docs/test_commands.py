from __future__ import annotations

import re
import shlex
from argparse import SUPPRESS

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.pages import ROOT, text_of

PAGE = "docs/reference/commands.md"
OURS = ("core", "accounts", "marketdata", "subscriptions", "alerts", "summaries", "dashboard")
COMMANDS = sorted((name, app) for name, app in get_commands().items() if app in OURS)
TARGETS = re.findall(r"^([a-z]+):(?!=)", text_of("Makefile"), re.MULTILINE)


def section(name):
    return text_of(PAGE).split(f"\n### {name}\n", 1)[1].split("\n##", 1)[0]


def options_of(name, app):
    parser = load_command_class(app, name).create_parser("manage.py", name)
    django = {
        "help",
        "version",
        "verbosity",
        "settings",
        "pythonpath",
        "traceback",
        "no_color",
        "force_color",
    }
    own = [action for action in parser._actions if action.dest not in django and action.help != SUPPRESS]
    return {action.option_strings[-1] if action.option_strings else action.dest.upper() for action in own}


def test_there_are_commands_and_targets():
    assert "up" in dict(COMMANDS)
    assert {"up", "test", "check"} <= set(TARGETS)


@pytest.mark.parametrize(("name", "app"), COMMANDS)
def test_every_command_is_described_with_its_options(name, app):
    described = set(re.findall(r"^\| `(--[a-z-]+|[A-Z]+)", section(name), re.MULTILINE))

    assert described == options_of(name, app) - {"--skip-checks"}


def test_no_command_is_described_that_does_not_exist():
    described = re.findall(r"^### (\w+)$", text_of(PAGE), re.MULTILINE)

    assert sorted(described) == [name for name, _ in COMMANDS]


def test_every_make_target_is_described_and_no_other():
    described = re.findall(r"^\| `make ([a-z]+)`", text_of(PAGE), re.MULTILINE)

    assert sorted(described) == sorted(TARGETS)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_of_the_first_pages_exist(page):
    named = re.findall(r"(?:^|`)make ([a-z]+)", text_of(page), re.MULTILINE)

    assert named
    assert set(named) - set(TARGETS) == set()


def test_the_programs_of_the_first_pages_exist():
    named = re.findall(r"python -m benchmarks\.(\w+)", text_of("README.md"))
    folders = re.findall(r"make test ARGS=([^`\s\"]+)", text_of("README.md"))

    assert named
    assert [name for name in named if not (ROOT / f"benchmarks/{name}.py").exists()] == []
    assert [folder for folder in folders if not list((ROOT / folder).glob("test_*.py"))] == []


def test_the_roles_are_described_as_up_starts_them():
    from core import roles  # noqa: PLC0415 -- after the settings

    for role in roles.later_roles():
        queues = [role.argv[i + 1] for i, word in enumerate(role.argv) if word == "-Q"]
        assert [queue for queue in queues if f"-Q {queue} " not in text_of(PAGE)] == []
        assert [
            word for word in shlex.split(" ".join(queues)) if word not in text_of("docs/howto/production.md")
        ] == []
