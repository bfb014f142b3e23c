"""Reading Yahoo's PricingData, a protobuf message, without the protobuf library. Pure.

Eighteen scalar fields of one flat message are read here; a code generator and a dependency would be larger than this.
A field that is not sent is at its default, which proto3 does not tell from zero.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

# A 64-bit varint has at most ten bytes of seven bits.
MOST_BITS = 70


class Wire(IntEnum):
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5


class Field(NamedTuple):
    name: str
    wire: Wire
    is_zigzag: bool = False


FIELDS: Mapping[int, Field] = {
    1: Field("id", Wire.LENGTH),
    2: Field("price", Wire.FIXED32),
    3: Field("time", Wire.VARINT, is_zigzag=True),
    4: Field("currency", Wire.LENGTH),
    5: Field("exchange", Wire.LENGTH),
    6: Field("quote_type", Wire.VARINT),
    7: Field("market_hours", Wire.VARINT),
    8: Field("change_percent", Wire.FIXED32),
    9: Field("day_volume", Wire.VARINT, is_zigzag=True),
    10: Field("day_high", Wire.FIXED32),
    11: Field("day_low", Wire.FIXED32),
    12: Field("change", Wire.FIXED32),
    15: Field("open", Wire.FIXED32),
    16: Field("previous_close", Wire.FIXED32),
    22: Field("last_size", Wire.VARINT, is_zigzag=True),
    23: Field("bid", Wire.FIXED32),
    25: Field("ask", Wire.FIXED32),
    27: Field("price_hint", Wire.VARINT, is_zigzag=True),
}


def pricing_of(data: bytes) -> dict[str, str | int | float]:
    """The known fields that were sent, by name; raises ValueError for anything that is no such message."""
    found: dict[str, str | int | float] = {}
    for number, wire, value in _fields(data):
        field = FIELDS.get(number)
        if field is None:
            continue
        if field.wire is not wire:
            raise ValueError(f"field {number} of wire type {wire}")
        found[field.name] = _value(field, value)
    return found


def _value(field: Field, value: int | bytes) -> str | int | float:
    if isinstance(value, int):
        return (value >> 1) ^ -(value & 1) if field.is_zigzag else value
    if field.wire is Wire.LENGTH:
        return value.decode()
    number: float = struct.unpack("<f", value)[0]
    return number


def _fields(data: bytes) -> Iterator[tuple[int, Wire, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = Wire(tag & 7)
        if wire is Wire.VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, wire, value
            continue
        size, at = (
            _varint(data, at) if wire is Wire.LENGTH else ({Wire.FIXED64: 8, Wire.FIXED32: 4}[wire], at)
        )
        if at + size > len(data):
            raise ValueError("the message ends within a field")
        yield tag >> 3, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, where it ends)"""
    found = 0
    for shift in range(0, MOST_BITS, 7):
        if at >= len(data):
            raise ValueError("the message ends within a number")
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
    raise ValueError("a number too long")
