"""Plain text of what a stranger calls an article: no markup, nothing that cannot be seen, in bounded time.

The last word on markup is nh3's, with no tag allowed. Before it, tags are taken out by expressions that never look
back, since a parser takes minutes for a megabyte of `<div>`: what is nested too deep never gets there.
"""

from __future__ import annotations

import hashlib
import html as entities
import re
import unicodedata

import nh3

# What is looked at of one article; the longest transcripts have a quarter of it.
MOST_HTML = 1_000_000
MOST_HEADLINE = 500

RAW = ("script", "style", "noscript", "template", "iframe", "object", "svg", "math", "title", "textarea")
BLOCKS = frozenset(
    re.findall(
        r"[a-z0-9]+",
        """address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption
        figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li main menu nav ol option p pre section
        select summary table tbody tfoot thead tr ul""",
    )
)
CELLS = frozenset({"td", "th"})

# Stand for a line break and for "&" while nh3 works; what a stranger writes of them is removed before.
BREAK, AMPERSAND = "\ue001", "\ue000"

RAW_START = re.compile(rf"<({'|'.join(RAW)})(?![a-z0-9-])|<!--", re.IGNORECASE | re.ASCII)
RAW_END = {name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in RAW}
TAG = re.compile(r"""</?([a-zA-Z][a-zA-Z0-9:-]*+)(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>""")
LOOSE_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]*+)[^<>]*+>")
# What still looks like the start of a tag, though nothing near ends it: a parser would take the rest of the article
# for its attributes.
ENDLESS = re.compile(r"<(?=[a-zA-Z/!?][^<>]{200})")
MOST_LEFT = 1000

# The library refuses to read a number of thousands of digits.
ENDLESS_ENTITY = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}+;?")

# Marks that stand above one another without end are a way to overwrite the lines around, and slow to sort.
MOST_MARKS = 4
# Shown as nothing, though Unicode counts them as letters or marks.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for block in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in block
}
LINE_ENDS = frozenset("\n\x0b\x0c\x85\u2028\u2029")
# Controls, zero-width and directions, halves of characters, private use, not assigned.
REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

LETTERS = re.compile(r"(?<![^\W_])-\d+(?:\.\d+)*|\d+(?:\.\d+)*|[^\W\d_]+")


class _Seen(dict[int, str]):
    """For str.translate: what a character becomes, learnt as it is met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char in LINE_ENDS:
            kept = "\n"
        elif char.isspace():
            kept = " "
        else:
            kept = "" if char in UNSEEN or unicodedata.category(char) in REMOVED else char
        self[code] = kept
        return kept


_SEEN = _Seen()


def plain(html: str, limit: int = 200_000) -> str:
    """What a reader would see of it, at most `limit` characters: paragraphs as lines, one space between words."""
    text = visible(html[:MOST_HTML].replace("\r\n", "\n").replace("\r", "\n"))
    text = _without_tags(_without_raw(text.replace("<![CDATA[", "").replace("]]>", "")))
    if BREAK in text:
        text = text.replace("\n", " ").replace(BREAK, "\n")
    text = nh3.clean(_harmless(text).replace("&", AMPERSAND), tags=set()).replace(AMPERSAND, "&")
    return shorten(_tidy(visible(entities.unescape(ENDLESS_ENTITY.sub("", text)))), limit)


def headline(text: str) -> str:
    """One line of plain text, as long as a headline may be."""
    return shorten(plain(text, 10 * MOST_HEADLINE).replace("\n", " "), MOST_HEADLINE)


def content_hash(headline: str, text: str) -> str:
    """Equal where two tell the same in the same words, whatever they did to case, space and punctuation."""
    content = f"{_bare(headline)}\n{_bare(text)}"
    return hashlib.sha256(content.encode()).hexdigest()


def visible(text: str) -> str:
    """The text without what nobody sees: controls, zero-width and directions; line ends and spaces of one kind."""
    if text.isascii() and text.isprintable():
        return text
    text = text.translate(_SEEN)
    return text if text.isascii() else unicodedata.normalize("NFC", _few_marks(text))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, ended between two words where there are any."""
    if len(text) <= limit:
        return text
    start = text[:limit]
    end = max(start.rfind(" "), start.rfind("\n"))
    return (start[:end] if end > limit // 2 else start).rstrip()


def _few_marks(text: str) -> str:
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def _without_raw(text: str) -> str:
    """Without comments and without elements whose content nobody reads; what is never closed goes to the end."""
    kept, at = [], 0
    while found := RAW_START.search(text, at):
        kept.append(text[at : found.start()])
        at = _after(text, found)
    return "".join([*kept, text[at:]])


def _after(text: str, start: re.Match[str]) -> int:
    """Where an element's closing tag starts (it is taken out like every other), or what follows a comment."""
    if start.group(1):
        found = RAW_END[start.group(1).lower()].search(text, start.end())
        return found.start() if found else len(text)
    end = text.find("-->", start.start() + len("<!"))
    return end + len("-->") if end >= 0 else len(text)


def _without_tags(text: str) -> str:
    return LOOSE_TAG.sub(_instead, TAG.sub(_instead, text)) if "<" in text else text


def _instead(tag: re.Match[str]) -> str:
    name = tag.group(1).lower()
    if name in BLOCKS:
        return BREAK
    return " " if name in CELLS else ""


def _harmless(text: str) -> str:
    """What takes a parser no longer than any other text."""
    if text.count("<") > MOST_LEFT:
        return text.replace("<", " ")
    return ENDLESS.sub(" ", text)


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKC", visible(text)).casefold().replace("−", "-").replace(",", "")
    return "".join(LETTERS.findall(folded))
