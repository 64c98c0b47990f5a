"""XXH64 as its specification reads, in plain Python over bytes: slow, and nobody's code but the specification's."""

P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
MASK = 2**64 - 1


def _rotate(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & MASK


def _round(state: int, lane: int) -> int:
    return _rotate((state + lane * P2) & MASK, 31) * P1 & MASK


def xxh64(data: bytes, seed: int = 0) -> int:
    """The hash of `data`."""
    at, left = 0, len(data)
    if left >= 32:
        states = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed & MASK, (seed - P1) & MASK]
        while left >= 32:
            lanes = [int.from_bytes(data[at + 8 * k : at + 8 * k + 8], "little") for k in range(4)]
            states = [_round(state, lane) for state, lane in zip(states, lanes, strict=True)]
            at, left = at + 32, left - 32
        h = sum(_rotate(state, by) for state, by in zip(states, (1, 7, 12, 18), strict=True)) & MASK
        for state in states:
            h = ((h ^ _round(0, state)) * P1 + P4) & MASK
    else:
        h = (seed + P5) & MASK
    h = (h + len(data)) & MASK
    while left >= 8:
        h = (_rotate(h ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * P1 + P4) & MASK
        at, left = at + 8, left - 8
    if left >= 4:
        h = (_rotate(h ^ int.from_bytes(data[at : at + 4], "little") * P1 & MASK, 23) * P2 + P3) & MASK
        at, left = at + 4, left - 4
    for byte in data[at:]:
        h = _rotate(h ^ byte * P5 & MASK, 11) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32
