"""Hashes of many values at once, in Python: SQLite has no hash function of its own.

A value has an image, a number; a row's key has a hash k of 64 bits; the value's hash is image * k modulo a prime. So
the sum over all rows stays the same by chance only, one time in 2**64, whatever values changed (universal hashing,
Carter and Wegman 1979). Texts are hashed byte by byte, numbers are their own image.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from operator import mul

from handrail.engines.bucketing import HASH_MASK

#: The largest prime below 2**64.
PRIME = (1 << 64) - 59

_BYTES = 8
_FIRST = "Q56x"
# So that 0 is not NULL, and a float not the integer of the same bits.
_INTEGER = 0x9E3779B97F4A7C15
_FLOAT = 0xC2B2AE3D27D4EB4F


def images(values: Sequence[object], *, strict: bool) -> Sequence[int]:
    """Return the image of each value, 0 of NULL. Texts are bytearrays, blobs bytes.

    1.0 has the image of 1, and -0.0 of 0, unless `strict`.
    """
    kinds = set(map(type, values))
    if len(kinds) == 1:
        return _alike(kinds.pop(), values, strict=strict)
    by_kind: dict[type, Iterator[int]] = {
        kind: iter(_alike(kind, [value for value in values if type(value) is kind], strict=strict)) for kind in kinds
    }
    return [next(by_kind[type(value)]) for value in values]


def key_hashes(columns: Sequence[Sequence[object]]) -> Sequence[int]:
    """Return the hash of each row's key, whose columns these are."""
    parts = [images(column, strict=False) for column in columns]
    return _digests([image & HASH_MASK for image in chain.from_iterable(zip(*parts, strict=True))], len(parts))


def keyless_sum(values: Sequence[int]) -> int:
    """Return the sum of the values' hashes where rows have no key; NULL does not count."""
    return sum(_digests([value & HASH_MASK for value in values if value], 1))


def weighted_sum(values: Sequence[int], hashes: Sequence[int]) -> int:
    """Return the sum of the values' hashes, given those of the keys; to be taken modulo PRIME."""
    return sum(map(mul, values, hashes))


def weighted(values: Sequence[int], hashes: Sequence[int]) -> list[int]:
    """Return the values' hashes one by one, given those of the keys."""
    return [value * key % PRIME for value, key in zip(values, hashes, strict=True)]


def _alike(kind: type, values: Sequence[object], *, strict: bool) -> Sequence[int]:
    """Return the images of values of one type."""
    if kind is int:
        return [value + _INTEGER for value in values]  # type: ignore[operator] # all are of that type
    if kind is float:
        return _floats(values, strict=strict)  # type: ignore[arg-type] # all are of that type
    if kind is bytearray:
        return _unpacked([blake2b(value).digest() for value in values])  # type: ignore[arg-type] # as above
    if kind is bytes:
        return _unpacked([blake2b(value, person=b"blob").digest() for value in values])  # type: ignore[arg-type] # as above
    return [0] * len(values)


def _floats(values: Sequence[float], *, strict: bool) -> Sequence[int]:
    if not strict and any(map(float.is_integer, values)):
        return [int(value) + _INTEGER if value.is_integer() else _floats([value], strict=True)[0] for value in values]
    bits = array("Q")
    bits.frombytes(array("d", values).tobytes())
    return [one + _FLOAT for one in bits]


def _digests(numbers: Sequence[int], each: int) -> Sequence[int]:
    content = struct.pack(f"<{len(numbers)}Q", *numbers)
    size = _BYTES * each
    return _unpacked([blake2b(content[at : at + size]).digest() for at in range(0, len(content), size)])


def _unpacked(digests: Sequence[bytes]) -> Sequence[int]:
    """Return the first eight bytes of each: asking for a short digest takes longer than cutting a long one."""
    return struct.unpack("<" + _FIRST * len(digests), b"".join(digests))
