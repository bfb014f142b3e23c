"""What no text of a model may hold when it is shown: links, markup, what cannot be seen, and orders to a model. Pure.

Pages escape every text anyway; this is so that there is nothing to escape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from summaries.cleaning import visible

_TLD = (
    "com|net|org|info|biz|io|ai|co|app|dev|xyz|top|site|online|shop|club|live|me|tv|cc|ws|link|click|page|example|test|ru"
    "|cn|uk|de|fr|in|eu|us|su|to|ly|gl|gg|tk|ml|ga|cf|zip|mov|onion"
)
LINK = re.compile(
    r"[a-z][a-z0-9+.-]{1,20}\s*:\s*/\s*/|(?<!\w)hxxps?|(?<![a-z0-9])www\s?\.\s?\w|://|(?<!\w)//\w"
    r"|(?<!\w)(?:java\s*script|vb\s*script|mailto|file|blob|view-source|tel)\s*:"
    r"|(?<!\w)data\s*:\s*(?:[a-z]+/[a-z]|[;,]|base64)"
    r"|(?:\[|\(|\{)\s*(?:\.|dot|at|@)\s*(?:\]|\)|\})"
    r"|(?<![\w@-])(?:[\w-]+[.。])+(?:[a-z]{2,}|xn--\w+)(?::\d+)?[/?#]\S"
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
    r"|\w@\w|\w\s@\s\w|(?<!\w)(?:0x[0-9a-f]{6,})",
    re.IGNORECASE,
)
DOMAIN = re.compile(rf"(?<![\w@.-])(?:[\w-]+\.)+(?:{_TLD})(?![\w-])", re.IGNORECASE)
# Names of companies that are addresses too are written with a capital, and nobody is sent there.
COMPANY = re.compile(r"[A-Z][\w-]*(?:\.[A-Za-z]{2,4}){1,2}")
SENT = re.compile(
    r"(?:visit|go\s+to|see|click|open|browse|at|on|via|follow|load|fetch)\s*:?\s*$", re.IGNORECASE
)

MARKUP = re.compile(
    r"<[a-z/!?|<]|&(?:#|[a-z]+\d*;)|\]\s?\(|\]\s?\[|!\[|\[\[|^\s{0,3}\[[^\]]+\]:|`|\{\{|\{%|^\s*#{1,6}\s|~~~|\\u00|%3c|%2f%2f"
    r"|\{\s*\"|\"\s*:\s*[\[{\"]|\[/?(?:inst|sys|system|assistant|user)\]|\|>|<\|",
    re.IGNORECASE,
)
ROLE = re.compile(r"^\W*(?:system|assistant|user|human|developer)\s*:", re.IGNORECASE)
ORDER = re.compile(
    r"(?<!\w)(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|of|the|your|my|these|those)\s+){0,3}"
    r"(?:previous|prior|above|earlier|preceding|foregoing|system|instructions?|prompts?|rules|guidelines)(?!\w)"
    r"|(?:system|developer)\s+(?:prompt|message|instructions?)|as\s+an?\s+(?:ai|large\s+language|language)\s+(?:language\s+)?model"
    r"|(?<!\w)you\s+are\s+(?:now\s+)?(?:an?\s+)?(?:ai|assistant|language\s+model|dan\b|chatgpt)"
    r"|my\s+(?:instructions|system|prompt)|(?:your|the)\s+instructions\s+(?:are|were|say)"
    r"|(?<!\w)(?:instructions?|prompts?)\s+(?:begin|end)s?\b|end\s+of\s+(?:article|prompt|data|document)",
    re.IGNORECASE,
)
# Nobody reads it: base64 and the like.
BLOB = re.compile(r"[A-Za-z0-9+/=_-]{41,}")
REPEATED = re.compile(r"(?<!\w)(\w+)(?:\W+\1){4,}(?!\w)", re.IGNORECASE)


# None is read that is so long.
LONGEST = 1000


def fault(text: str) -> str:
    """Why a text may not be shown; empty if it may."""
    if len(text) > LONGEST:
        return "longer than a sentence"
    if not _is_visible(text):
        return "characters that nobody sees"
    folded = unicodedata.normalize("NFKC", text)
    return next((why for why, is_so in CHECKS if is_so(text) or is_so(folded)), "")


def _is_visible(text: str) -> bool:
    line = " ".join(text.split())
    return visible(line) == unicodedata.normalize("NFC", line)


def _has_link(text: str) -> bool:
    return bool(LINK.search(text)) or any(
        not COMPANY.fullmatch(found.group()) or SENT.search(text, 0, found.start())
        for found in DOMAIN.finditer(text)
    )


CHECKS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("no words", lambda text: not any(char.isalnum() for char in text)),
    ("a link or an address", _has_link),
    ("markup", lambda text: bool(MARKUP.search(text))),
    ("orders to a model", lambda text: bool(ROLE.search(text) or ORDER.search(text))),
    ("what nobody can read", lambda text: bool(BLOB.search(text) or REPEATED.search(text))),
)
