"""XXH64 on a device: the names and values of ``reference.hashing``; strings are hashed on the host, entry by entry.

All arithmetic is modulo 2^64. Seeds are any int, taken modulo 2^64.
"""

import numpy as np

from .device import Argument, Device, DeviceArray, Kernel
from .numbers import Numbers, over_rows, source, whole

_TEXT = source("avalanche.cuh", "hashing.cu")
SOURCES = {"hashing": _TEXT}
_NAMES = "hash_numbers", "mix", "counter_uniform", "bucket", "of_entries"
_NUMBERS, _MIX, _UNIFORM, _BUCKET, _OF_ENTRIES = (Kernel(_TEXT, name) for name in _NAMES)


def _hashes(device: Device, kernel: Kernel, rows: int, *args: Argument) -> DeviceArray:
    out = device.empty(rows, np.uint64)
    over_rows(device, kernel, rows, *args, out)
    return out


def _of_numbers(values: DeviceArray, seed: int, valid: DeviceArray | None, null: int) -> DeviceArray:
    rows = len(values)
    args = *Numbers(values, valid).arguments, np.int64(rows), whole(seed), whole(null)
    return _hashes(values.device, _NUMBERS, rows, *args)


def hash_int64(values: DeviceArray, seed: int = 0, valid: DeviceArray | None = None, null: int = 0) -> DeviceArray:
    """XXH64 of each integer or bool as int64; uint64 of the same shape.

    Args:
        valid: bitmap; a row without a value gets `null`.
    """
    return _of_numbers(values, seed, valid, null)


def hash_float64(values: DeviceArray, seed: int = 0, valid: DeviceArray | None = None, null: int = 0) -> DeviceArray:
    """XXH64 of each float's canonical bits as float64: -0.0 as 0.0 and every NaN as one. As :func:`hash_int64`."""
    return _of_numbers(values, seed, valid, null)


def mix(first: DeviceArray, second: DeviceArray) -> DeviceArray:
    """One hash of two, in order: XXH64, seed 0, of the 16 bytes of `first` and then `second`, both uint64."""
    rows = len(first)
    return _hashes(first.device, _MIX, rows, first, second, np.int64(rows))


def counter_uniform(seed: int, purpose: int, ids: DeviceArray, divisor: int = 0) -> DeviceArray:
    """Random uint64 that depend on seed, purpose and id alone; with `divisor`, what is left of dividing by it.

    Args:
        ids: uint64 of shape (rows,).
    """
    rows = len(ids)
    return _hashes(ids.device, _UNIFORM, rows, ids, *_drawn(0, rows, seed, purpose, divisor))


def uniform_from(device: Device, seed: int, purpose: int, first: int, rows: int, divisor: int = 0) -> DeviceArray:
    """:func:`counter_uniform` of the ids ``first, first + 1, …``, which take no memory."""
    return _hashes(device, _UNIFORM, rows, None, *_drawn(first, rows, seed, purpose, divisor))


def _drawn(first: int, rows: int, seed: int, purpose: int, divisor: int) -> tuple[Argument, ...]:
    return whole(first), np.int64(rows), whole(seed), whole(purpose), whole(divisor)


def bucket(hashes: DeviceArray, divisor: int, found: DeviceArray | None = None, first: int = 0) -> DeviceArray:
    """int32 of shape (rows,): `first` and what is left of dividing each hash by `divisor`, together below 2^31.

    Args:
        found: int32 of shape (rows,); a row that has a number from 0 on here keeps it.
    """
    device, rows = hashes.device, len(hashes)
    out = device.empty(rows, np.int32)
    over_rows(device, _BUCKET, rows, hashes, found, np.int64(rows), whole(divisor), np.int32(first), out)
    return out


def of_entries(hashes: DeviceArray, ids: DeviceArray, valid: DeviceArray | None = None, null: int = 0) -> DeviceArray:
    """uint64 of shape (rows,): the hash of each row's entry; `null` where a row has no value.

    Args:
        hashes: uint64, one an entry.
        ids: int32 of shape (rows,).
        valid: bitmap of the rows.
    """
    rows = len(ids)
    return _hashes(ids.device, _OF_ENTRIES, rows, hashes, ids, valid, np.int64(rows), whole(null))
