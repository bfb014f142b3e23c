from __future__ import annotations

import io

from core.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_the_bar_grow_and_end_with_a_line_break():
    terminal = Terminal()

    with ProgressBar("Loading", 4, terminal) as bar:
        for done in (1, 1, 2, 4, 5):
            bar.show(done)

    drawn = terminal.getvalue().split("\r")[1:]
    assert drawn == [
        f"Loading [{'':40}]   0%",
        f"Loading [{'#' * 10:40}]  25%",
        f"Loading [{'#' * 20:40}]  50%",
        f"Loading [{'#' * 40}] 100%\n",
    ]


def test_a_pipe_sees_nothing():
    pipe = io.StringIO()

    with ProgressBar("Loading", 4, pipe) as bar:
        bar.show(2)

    assert pipe.getvalue() == ""


def test_nothing_to_do_draws_nothing():
    terminal = Terminal()

    with ProgressBar("Loading", 0, terminal) as bar:
        bar.show(0)

    assert terminal.getvalue() == ""
