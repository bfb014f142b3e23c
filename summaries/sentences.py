"""Where sentences begin and end. Pure.

Full stops of business news end sentences less often than one would think: Inc., U.S., $94.9 billion, J. P. Morgan.
A stop ends a sentence unless the word before it is an abbreviation or an initial; after abbreviations that often do
end one (Inc., U.S., p.m.) it does when what follows begins as only a sentence begins.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What stands before a name or a number, and so never ends a sentence.
BEFORE_MORE = _words(
    "mr mrs ms dr prof sen rep gov gen col lt sgt capt hon rev st mt ft vs no nos art fig vol pp approx est ca cf "
    "e.g i.e dept univ assn natl intl"
)
# What may stand at the end of a sentence as well as within it.
ANYWHERE = _words(
    "inc corp co cos ltd llc llp plc bros jr sr esq etc al u.s u.k u.n e.u u.s.a d.c n.v s.a s.p.a a.g a.m p.m "
    "ph.d b.sc m.b.a jan feb mar apr jun jul aug sep sept oct nov dec"
)
# After an abbreviation these begin a sentence when they begin with a capital letter.
STARTERS = _words(
    "the a an it its he she they we you i in on at by to for from with as but and or so if when while after before "
    "since although however this that these those there here his her their our my some many most all both each "
    "another no not now then also meanwhile shares analysts investors last next earlier later under according "
    "despite what who why how"
)
# A stop with what closes after it, and then a gap; or a full-width stop, which has no gap after it.
END = re.compile(r"""(?<![.!?…])(?P<stop>[.!?…]+)[\"'”’»)\]]*(?=\s)|[。！？]+[”’」』）]*""")
# A line that goes on in the next one was only wrapped.
WRAPPED = re.compile(r"(?<![.!?…:;\"”’ ]) ?\n ?(?=[a-z(])")
SPACES = re.compile(r"[^\S\n]+")
OPENING = "\"'“‘«([„"
LAST_WORD = re.compile(r"[^\s(\[\"'“‘«]*$")
# So much around a stop decides; with more, a megabyte of full stops would take an hour.
NEAR = 40


def split(text: str) -> list[str]:
    """The sentences in order, each with single spaces; a new line begins a new one unless it was only wrapped."""
    lines = WRAPPED.sub(" ", SPACES.sub(" ", text)).split("\n")
    return [sentence for line in lines for sentence in _split_line(line.strip())]


def _split_line(line: str) -> list[str]:
    found, start = [], 0
    for match in END.finditer(line):
        near = line[max(start, match.start() - NEAR) : match.start()]
        if _ends(near, match["stop"], line[match.end() : match.end() + NEAR].lstrip()):
            found.append(line[start : match.end()].strip())
            start = match.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]


def _ends(before: str, stop: str | None, after: str) -> bool:
    if stop is None:
        return True
    following = after.lstrip(OPENING)
    if following[:1].islower():
        return False
    return stop != "." or _ends_after(LAST_WORD.search(before)[0], following)  # type: ignore[index]  # may be empty


def _ends_after(word: str, following: str) -> bool:
    """Whether a single full stop after this word ends the sentence."""
    bare = word.lower()
    if bare in ANYWHERE:
        return _begins_sentence(following)
    if bare == "no":
        return not following[:1].isdigit()
    return not (bare in BEFORE_MORE or (len(word) == 1 and word.isupper()) or _is_initials(word))


def _begins_sentence(following: str) -> bool:
    first = re.match(r"\w+", following)
    return first is not None and first[0][0].isupper() and first[0].lower() in STARTERS


def _is_initials(word: str) -> bool:
    """J.P or S.A.B, without the last stop."""
    parts = word.split(".")
    return len(parts) > 1 and all(len(part) == 1 and part.isupper() for part in parts)
