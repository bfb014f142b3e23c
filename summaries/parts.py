"""What was said as one text, and a long text in parts that a model can read, cut where a speaker, a paragraph or a
sentence ends. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

# Speakers stand apart by an empty line, paragraphs of one speech by a line break.
SPEECH, PARAGRAPH, SENTENCE, WORD = "\n\n", "\n", " ", " "
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]* +")


def spoken(speeches: Iterable[Mapping[str, str]]) -> str:
    """Speeches of `{"speaker", "role", "text"}`, with who says it before each."""
    return SPEECH.join(map(_speech, speeches))


def _speech(one: Mapping[str, str]) -> str:
    speaker, role = one.get("speaker", ""), one.get("role", "")
    who = f"{speaker} ({role})" if speaker and role else speaker or role
    return f"{who}: {one['text']}" if who else one["text"]


def split(text: str, most_chars: int) -> list[str]:
    """Parts of at most so many characters, in order, none of them blank; joined they lack only white space.

    What fits stays whole: speeches are kept together where two of them fit, paragraphs where a speech does not fit,
    sentences where a paragraph does not, words where a sentence does not; only a word that is longer is cut.
    """
    if most_chars < 1:
        raise ValueError("most_chars is below 1")
    return list(_joined(_cut(text.strip(), most_chars, 0), most_chars))


Piece = tuple[str, str]
"""What goes before it if it is joined to the piece before, and the text."""


def _cut(text: str, most: int, level: int) -> Iterator[Piece]:
    """Pieces that fit, cut no finer than they must."""
    separators = (SPEECH, PARAGRAPH, SENTENCE, WORD)
    if level == len(separators):
        yield from (("", text[at : at + most]) for at in range(0, len(text), most))
        return
    for piece in filter(None, (one.strip() for one in _pieces(text, level))):
        if len(piece) <= most:
            yield separators[level], piece
            continue
        finer = list(_cut(piece, most, level + 1))
        yield separators[level], finer[0][1]
        yield from finer[1:]


def _pieces(text: str, level: int) -> Sequence[str]:
    if level == 0:
        return re.split(r"\n\s*\n", text)
    if level == 1:
        return text.split("\n")
    if level == 2:
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    return text.split()


def _joined(pieces: Iterator[Piece], most: int) -> Iterator[str]:
    part = ""
    for separator, piece in pieces:
        if part and len(part) + len(separator) + len(piece) > most:
            yield part
            part = piece
        else:
            part = part + separator + piece if part else piece
    if part:
        yield part
