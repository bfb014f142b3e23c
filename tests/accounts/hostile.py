"""Texts that are no API key, as somebody may send them all the same."""

from __future__ import annotations

HOSTILE_KEYS = {
    "empty": "",
    "prefix only": "ot_",
    "no secret": "ot_abcdefgh_",
    "one too short": "ot_abcdefgh_" + "a" * 39,
    "one too long": "ot_abcdefgh_" + "a" * 41,
    "null": "ot_abcdefgh_" + "\x00" * 40,
    "surrogate": "ot_abcdefgh_" + "\ud800" * 40,
    "other digits": "ot_abcdefgh_" + "\u0661" * 40,
    "full width": "ot_\uff41bcdefgh_" + "a" * 40,
    "right to left": "\u202eot_abcdefgh_" + "a" * 40,
    "upper case scheme": "OT_abcdefgh_" + "a" * 40,
    "two keys": "ot_abcdefgh_" + "a" * 40 + " ot_abcdefgh_" + "a" * 40,
    "line within": "ot_abcdefgh_" + "a" * 20 + "\n" + "a" * 20,
    "huge": "ot_abcdefgh_" + "a" * 1_000_000,
    "sql": "ot_abcdefgh_' OR 1=1; --",
    "a hash": "0" * 64,
}
