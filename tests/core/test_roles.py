from __future__ import annotations

import argparse

import pytest

from core import roles
from core.management.commands.up import shard_count


@pytest.mark.parametrize(
    ("shards", "tapes"),
    [
        (1, {"tape": ["runtape"]}),
        (2, {"tape0": ["runtape", "--shard", "0/2"], "tape1": ["runtape", "--shard", "1/2"]}),
    ],
)
def test_each_shard_of_the_tape_is_a_role(shards, tapes):
    started = roles.first_roles("127.0.0.1", 8000, shards)

    assert {role.name: role.argv[2:] for role in started if role.name != "web"} == tapes


@pytest.mark.parametrize(
    ("shards", "alerts"),
    [
        (1, {"alerts": ["runalerts"]}),
        (2, {"alerts0": ["runalerts", "--shard", "0/2"], "alerts1": ["runalerts", "--shard", "1/2"]}),
    ],
)
def test_each_shard_of_the_tape_has_its_alerts(shards, alerts):
    started = roles.later_roles(shards)

    assert {role.name: role.argv[2:] for role in started if role.name.startswith("alerts")} == alerts


@pytest.mark.parametrize("text", ["1/1", "-1/2", "0", "0/", "a/b", "0/0", ""])
def test_a_shard_that_there_is_not_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        roles.shard_argument(text)
    assert roles.shard_argument("1/2") == (1, 2)


@pytest.mark.parametrize("text", ["0", "17", "-1", "two", ""])
def test_a_number_of_shards_that_makes_no_sense_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        shard_count(text)
    assert shard_count("2") == 2
