"""Questions for models."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from summaries.kinds import Persona, Task
from summaries.llm import prompts
from summaries.llm.base import Item, Question

# Generous: a busy machine is no fault of a model.
PATIENCE_S = 30.0
ARTICLES = {
    "apple": Item(
        "apple",
        "Apple Inc. sold phones for $94.9 billion. Sales rose 5 % in the U.S. market. It was the best quarter of all. "
        "Analysts (NASDAQ: AAPL) had expected less. Shares gained 3 % on Thursday. A dividend of $0.25 was declared.",
        "Apple sells more phones",
        ("AAPL",),
    ),
    "ford": Item(
        "ford",
        "Ford issued a profit warning on Monday. Costs of $1.2 billion for recalls weigh on the year. "
        "The factory in Cologne will be closed. Shares fell 7 %.",
        "Ford warns",
        ("F",),
    ),
    "ibm": Item(
        "ibm",
        "IBM opens a laboratory in Zurich. It will employ 300 people. The first of them begin in March.",
        "IBM in Zurich",
        ("IBM",),
    ),
}


@contextmanager
def nobody_there() -> Iterator[str]:
    """The address of a port that is taken, so that nobody else gets it, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def question(*names, task=Task.SUMMARY, persona=""):
    items = tuple(ARTICLES[name] for name in names or ARTICLES)
    return Question(task, items, prompts.version(task), persona)


def call_question():
    text = (
        "Jane Doe, Chief Financial Officer: Revenue for the third quarter was $12.3 billion, up 8%. "
        "Gross margin was 43.5%. For the full year, we expect revenue of $50 billion."
    )
    return Question(
        Task.EARNINGS, (Item("call", text, "Acme Q3", ("ACME",)),), prompts.version(Task.EARNINGS)
    )


def analysis_question(persona=Persona.LYNCH):
    facts = {"Score": "70 of 100", "P/E": "18.2", "PEG": "0.9"}
    item = Item("analysis", "The PEG of 0.9 is below 1.", "Acme (ACME)", ("ACME",), facts)
    return Question(Task.ANALYSIS, (item,), prompts.version(Task.ANALYSIS), persona)


def entries_of(answer):
    return {entry["id"]: entry for entry in json.loads(answer.text)["items"]}
