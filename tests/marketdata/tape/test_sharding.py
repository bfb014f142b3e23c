from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import product
from string import ascii_uppercase

import pytest

from marketdata.tape.sharding import shard_of

SYMBOLS = ["".join(letters) for letters in product(ascii_uppercase[:16], repeat=3)]


def test_one_shard_owns_everything():
    assert {shard_of(symbol, 1) for symbol in SYMBOLS} == {0}


@pytest.mark.parametrize("shards", [2, 3, 4, 5, 8])
def test_every_shard_gets_its_share(shards):
    counts = Counter(shard_of(symbol, shards) for symbol in SYMBOLS)

    fair = len(SYMBOLS) / shards
    assert set(counts) == set(range(shards))
    assert all(0.8 * fair < count < 1.2 * fair for count in counts.values()), counts


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_a_new_shard_takes_only_its_share_and_moves_nothing_else(shards):
    moved = [symbol for symbol in SYMBOLS if shard_of(symbol, shards) != shard_of(symbol, shards + 1)]

    assert {shard_of(symbol, shards + 1) for symbol in moved} == {shards}
    assert 0.8 < len(moved) * (shards + 1) / len(SYMBOLS) < 1.2


def test_every_process_gives_the_same_answer():
    symbols = ["AAPL", "^GSPC", "BRK.B"]
    program = f"from marketdata.tape.sharding import shard_of; print([shard_of(s, 5) for s in {symbols}])"
    answers = {
        subprocess.check_output([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, text=True)
        for seed in ("1", "2")
    }

    assert answers == {f"{[shard_of(symbol, 5) for symbol in symbols]}\n"}
