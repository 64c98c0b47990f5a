"""Each family of PTX instructions against Python's integers, exact fractions, and NumPy."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .ptx_text import run_body, run_instruction

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
INTS = [np.dtype(name) for name in ("i2", "i4", "i8", "u2", "u4", "u8")]


def edges(dtype, rng, n=96) -> np.ndarray:
    """Ends of the type, numbers about 0, powers of two, and random bits of all lengths."""
    info = np.iinfo(dtype)
    some = [info.min, info.max, 0, 1, 2, 3, info.max - 1, info.min + 1] + [1 << k for k in range(info.bits - 1)]
    some += [-value for value in some if info.min <= -value <= info.max]
    random = rng.integers(0, 256, (n, np.dtype(dtype).itemsize), dtype=np.uint8).view(dtype)[:, 0]
    random >>= rng.integers(0, info.bits, n).astype(dtype)
    return rng.choice(np.concatenate([np.array(some, dtype=dtype), random]), n)


def floats(dtype, rng, n=200) -> np.ndarray:
    """Zeros, infinities, NaN, subnormals, ends, and random bits."""
    info = np.finfo(dtype)
    some = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, info.smallest_subnormal, 1.0, -1.5, 0.5]
    some += [2.5, -3.5, 2.0**31, 2.0**32, -(2.0**31), 2.0**63, 2.0**64, -(2.0**63), 255.5, -0.5, info.tiny / 2]
    bits = rng.integers(0, 256, (n, np.dtype(dtype).itemsize), dtype=np.uint8).view(dtype)[:, 0]
    near = (rng.standard_normal(n) * 2.0 ** rng.integers(-20, 70, n)).astype(dtype)
    return rng.choice(np.concatenate([np.array(some, dtype=dtype), bits, near]), n)


def wrapped(value: int, dtype) -> int:
    """An integer as a type holds it."""
    bits = 8 * np.dtype(dtype).itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if np.dtype(dtype).kind == "i" and value >> bits - 1 else value


def suffix(dtype) -> str:
    return f"{np.dtype(dtype).kind.replace('i', 's')}{8 * np.dtype(dtype).itemsize}"


def same_bits(found: np.ndarray, expected: Any) -> None:
    """Equal to the bit; NaN as the hardware makes it."""
    expected = np.asarray(expected, dtype=found.dtype)
    if found.dtype.itemsize == 4:
        expected = np.where(np.isnan(expected), np.uint32(0x7FFFFFFF).view("f4"), expected)
        assert found.view("u4").tolist() == expected.view("u4").tolist()
    else:
        nan = np.isnan(expected)
        assert (np.isnan(found) == nan).all()
        assert found[~nan].view("u8").tolist() == expected[~nan].view("u8").tolist()


def rounded(exact: Fraction, dtype, way: str = "rn") -> float:
    """An exact number (not 0) in a format, by integers alone."""
    digits, low = (24, -149) if np.dtype(dtype).itemsize == 4 else (53, -1074)
    size, sign = abs(exact), 1 if exact > 0 else -1
    power = size.numerator.bit_length() - size.denominator.bit_length()
    power -= size < Fraction(2) ** power
    unit = max(power - digits + 1, low)
    scaled = size / Fraction(2) ** unit
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    half = Fraction(rest, scaled.denominator)
    up = {
        "rn": half > Fraction(1, 2) or (half == Fraction(1, 2) and whole % 2 == 1),
        "rz": False, "rm": exact < 0 and rest > 0, "rp": exact > 0 and rest > 0,
    }[way]  # fmt: skip
    whole += up
    top = (2**digits - 1) * Fraction(2) ** ((127 if digits == 24 else 1023) - digits + 1)
    value = whole * Fraction(2) ** unit
    if value > top:
        toward_zero = way == "rz" or (way == "rm" and exact > 0) or (way == "rp" and exact < 0)
        return float(top if exact > 0 else -top) if toward_zero else math.inf * sign
    return float(value) * sign


@pytest.mark.parametrize("dtype", INTS, ids=str)
def test_integer_arithmetic(device, dtype):
    rng = np.random.default_rng(0)
    a, b = edges(dtype, rng), edges(dtype, rng)
    x, y = a.tolist(), b.tolist()
    kind = suffix(dtype)
    known = {
        f"add.{kind}": [p + q for p, q in zip(x, y, strict=True)],
        f"sub.{kind}": [p - q for p, q in zip(x, y, strict=True)],
        f"mul.lo.{kind}": [p * q for p, q in zip(x, y, strict=True)],
        f"mul.hi.{kind}": [p * q >> 8 * dtype.itemsize for p, q in zip(x, y, strict=True)],
        f"min.{kind}": np.minimum(a, b).tolist(), f"max.{kind}": np.maximum(a, b).tolist(),
        f"and.b{kind[1:]}": [p & q for p, q in zip(x, y, strict=True)],
        f"or.b{kind[1:]}": [p | q for p, q in zip(x, y, strict=True)],
        f"xor.b{kind[1:]}": [p ^ q for p, q in zip(x, y, strict=True)],
    }  # fmt: skip
    for op, expected in known.items():
        assert run_instruction(device, op, dtype, a, b).tolist() == [wrapped(v, dtype) for v in expected], op


@pytest.mark.parametrize("dtype", INTS, ids=str)
def test_integer_division_goes_towards_zero(device, dtype):
    rng = np.random.default_rng(1)
    a, b = edges(dtype, rng), edges(dtype, rng)
    b[b == 0] = 7
    x, y = a.tolist(), b.tolist()
    quotients = [abs(p) // abs(q) * (1 if (p < 0) == (q < 0) else -1) for p, q in zip(x, y, strict=True)]
    rests = [p - q * d for p, q, d in zip(x, y, quotients, strict=True)]
    kind = suffix(dtype)
    assert run_instruction(device, f"div.{kind}", dtype, a, b).tolist() == [wrapped(v, dtype) for v in quotients]
    assert run_instruction(device, f"rem.{kind}", dtype, a, b).tolist() == [wrapped(v, dtype) for v in rests]


@pytest.mark.parametrize("dtype", [d for d in INTS if d.itemsize < 8], ids=str)
def test_wide_products(device, dtype):
    rng = np.random.default_rng(2)
    a, b = edges(dtype, rng), edges(dtype, rng)
    wide = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")
    c = edges(wide, rng)
    products = [p * q for p, q in zip(a.tolist(), b.tolist(), strict=True)]
    assert run_instruction(device, f"mul.wide.{suffix(dtype)}", wide, a, b).tolist() == products
    sums = [wrapped(p + q, wide) for p, q in zip(products, c.tolist(), strict=True)]
    assert run_instruction(device, f"mad.wide.{suffix(dtype)}", wide, a, b, c).tolist() == sums


@pytest.mark.parametrize("dtype", INTS, ids=str)
def test_shifts_beyond_the_width(device, dtype):
    rng = np.random.default_rng(3)
    a, bits = edges(dtype, rng), 8 * dtype.itemsize
    by = rng.integers(0, 80, len(a)).astype("u4")
    by[:2] = 2**32 - 1, 1 << 31
    pairs = list(zip(a.tolist(), by.tolist(), strict=True))
    left = [wrapped(p << min(n, 100), dtype) if n < bits else 0 for p, n in pairs]
    right = [p >> min(n, 100) for p, n in pairs]
    assert run_instruction(device, f"shl.b{bits}", dtype, a, by).tolist() == left
    assert run_instruction(device, f"shr.{suffix(dtype)}", dtype, a, by).tolist() == right


def test_bits(device):
    rng = np.random.default_rng(4)
    for dtype in (np.dtype("u4"), np.dtype("u8")):
        a, bits = edges(dtype, rng), 8 * dtype.itemsize
        x = a.tolist()
        assert run_instruction(device, f"popc.b{bits}", "u4", a).tolist() == [v.bit_count() for v in x]
        assert run_instruction(device, f"clz.b{bits}", "u4", a).tolist() == [bits - v.bit_length() for v in x]
        backwards = [int(f"{v:0{bits}b}"[::-1], 2) for v in x]
        assert run_instruction(device, f"brev.b{bits}", dtype, a).tolist() == backwards
        found = run_instruction(device, f"bfind.u{bits}", "u4", a).tolist()
        assert found == [(v.bit_length() - 1) % 2**32 for v in x]
        signed = a.view(f"i{dtype.itemsize}")
        found = run_instruction(device, f"bfind.s{bits}", "u4", signed).tolist()
        assert found == [((~v if v < 0 else v).bit_length() - 1) % 2**32 for v in signed.tolist()]
        assert run_instruction(device, f"not.b{bits}", dtype, a).tolist() == (~a).tolist()


def test_bit_fields(device):
    """By the definition in the PTX ISA, bit by bit."""
    rng = np.random.default_rng(5)
    for dtype in (np.dtype("u4"), np.dtype("i4"), np.dtype("u8"), np.dtype("i8")):
        bits, n = 8 * dtype.itemsize, 128
        a, b = edges(dtype, rng, n), edges(dtype, rng, n)
        start, length = rng.integers(0, bits + 9, n).astype("u4"), rng.integers(0, bits + 9, n).astype("u4")
        expected, inserted = [], []
        for value, other, p, k in zip(a.tolist(), b.tolist(), start.tolist(), length.tolist(), strict=True):
            whole, into, top = value % 2**bits, other % 2**bits, bits - 1
            sign = 0 if dtype.kind == "u" or k == 0 else whole >> min(p + k - 1, top) & 1
            field = [whole >> p + i & 1 if i < k and p + i <= top else sign for i in range(bits)]
            expected.append(wrapped(sum(bit << i for i, bit in enumerate(field)), dtype))
            for i in range(k):
                if p + i <= top:
                    into = into & ~(1 << p + i) | (whole >> i & 1) << p + i
            inserted.append(wrapped(into, dtype))
        assert run_instruction(device, f"bfe.{suffix(dtype)}", dtype, a, start, length).tolist() == expected
        assert run_instruction(device, f"bfi.b{bits}", dtype, a, b, start, length).tolist() == inserted


def test_funnel_shifts_and_permutes(device):
    rng = np.random.default_rng(6)
    a, b, c = (edges("u4", rng) for _ in range(3))
    c[: len(c) // 2] %= 70
    triples = list(zip(a.tolist(), b.tolist(), c.tolist(), strict=True))
    for mode, count in (("wrap", lambda n: n % 32), ("clamp", lambda n: min(n, 32))):
        left = [((y << 32 | x) << count(n) >> 32) % 2**32 for x, y, n in triples]
        right = [((y << 32 | x) >> count(n)) % 2**32 for x, y, n in triples]
        assert run_instruction(device, f"shf.l.{mode}.b32", "u4", a, b, c).tolist() == left
        assert run_instruction(device, f"shf.r.{mode}.b32", "u4", a, b, c).tolist() == right
    expected = []
    for x, y, chosen in triples:
        source, total = (y << 32 | x).to_bytes(8, "little"), 0
        for i in range(4):
            pick = chosen >> 4 * i & 15
            byte = source[pick & 7]
            total |= (255 * (byte >> 7) if pick & 8 else byte) << 8 * i
        expected.append(total)
    assert run_instruction(device, "prmt.b32", "u4", a, b, c).tolist() == expected


@QUICK
@given(table=st.integers(0, 255), seed=st.integers(0, 1000))
def test_any_logic_of_three(device, table, seed):
    rng = np.random.default_rng(seed)
    a, b, c = (rng.integers(0, 2**32, 32, dtype=np.uint32) for _ in range(3))
    body = "".join(
        f"mad.lo.u64 %rd30, %rd31, 4, %rd{i};\nld.global.u32 %r{i}, [%rd30];\n" for i in range(3)
    ) + f"lop3.b32 %r15, %r0, %r1, %r2, {table};"
    expected = [
        sum((table >> ((x >> i & 1) << 2 | (y >> i & 1) << 1 | z >> i & 1) & 1) << i for i in range(32))
        for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]
    assert run_body(device, body, 32, "u4", a, b, c).tolist() == expected


def test_carries(device):
    """Sums and differences of 128 bits, of two halves."""
    rng = np.random.default_rng(7)
    parts = [edges("u8", rng) for _ in range(4)]
    low_a, high_a, low_b, high_b = (part.tolist() for part in parts)
    loads = "".join(f"mad.lo.u64 %rd30, %rd31, 8, %rd{i};\nld.global.u64 %rd{8 + i}, [%rd30];\n" for i in range(4))
    for op, sign in (("add", 1), ("sub", -1)):
        body = f"{loads}{op}.cc.u64 %rd16, %rd8, %rd10;\n{op}c.u64 %rd15, %rd9, %rd11;"
        found = run_body(device, body, 96, "u8", *parts).tolist()
        rows = zip(low_a, high_a, low_b, high_b, strict=True)
        assert found == [((h << 64 | q) + sign * (g << 64 | p) >> 64) % 2**64 for q, h, p, g in rows]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_float_arithmetic_is_ieee(device, dtype):
    rng = np.random.default_rng(8)
    a, b = floats(dtype, rng), floats(dtype, rng)
    kind = f"f{8 * np.dtype(dtype).itemsize}"
    with np.errstate(all="ignore"):
        same_bits(run_instruction(device, f"add.rn.{kind}", dtype, a, b), a + b)
        same_bits(run_instruction(device, f"sub.rn.{kind}", dtype, a, b), a - b)
        same_bits(run_instruction(device, f"mul.rn.{kind}", dtype, a, b), a * b)
        same_bits(run_instruction(device, f"div.rn.{kind}", dtype, a, b), a / b)
        same_bits(run_instruction(device, f"sqrt.rn.{kind}", dtype, a), np.sqrt(a))
        same_bits(run_instruction(device, f"rcp.rn.{kind}", dtype, a), np.dtype(dtype).type(1) / a)


def smaller(a: float, b: float) -> float:
    """min of the PTX ISA."""
    if a != a or b != b:
        return b if a != a else a
    return min(a, b, key=lambda v: (v, np.copysign(1, v)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_least_and_greatest(device, dtype):
    rng = np.random.default_rng(9)
    a, b = floats(dtype, rng), floats(dtype, rng)
    a[:8], b[:8] = [0.0, -0.0, np.nan, 1, np.nan, np.inf, 0.0, -0.0], [-0.0, 0.0, 1, np.nan, np.nan, np.nan, 0.0, -0.0]
    kind = f"f{8 * np.dtype(dtype).itemsize}"
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    same_bits(run_instruction(device, f"min.{kind}", dtype, a, b), [smaller(x, y) for x, y in pairs])
    same_bits(run_instruction(device, f"max.{kind}", dtype, a, b), [-smaller(-x, -y) for x, y in pairs])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_fused_product_and_sum_is_rounded_once(device, dtype):
    rng = np.random.default_rng(10)
    a, b, c = (floats(dtype, rng, 400) for _ in range(3))
    with np.errstate(all="ignore"):
        c[200:300] = -(a * b)[200:300] * (1 + np.finfo(dtype).eps)
        c[300:] = (a * b)[300:] * np.finfo(dtype).eps / 2
        expected = a * b + c
    for i, (x, y, z) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
        if np.isfinite([x, y, z]).all():
            exact = Fraction(x) * Fraction(y) + Fraction(z)
            zero = -0.0 if np.signbit(x) != np.signbit(y) and np.signbit(z) and not (x and y) and not z else 0.0
            expected[i] = rounded(exact, dtype) if exact else zero
        elif np.isfinite([x, y]).all():
            expected[i] = z
    same_bits(run_instruction(device, f"fma.rn.f{8 * np.dtype(dtype).itemsize}", dtype, a, b, c), expected)


def test_signs_keep_the_bits_of_nan(device):
    a = np.array([0x7FC01234, 0xFFC01234, 0x00000000, 0x80000000, 0x3F800000], dtype="u4").view("f4")
    b = np.array([1, -1, -1, 1, -1], dtype="f4")
    assert run_instruction(device, "neg.f32", "f4", a).view("u4").tolist() == (a.view("u4") ^ 0x80000000).tolist()
    assert run_instruction(device, "abs.f32", "f4", a).view("u4").tolist() == (a.view("u4") & 0x7FFFFFFF).tolist()
    found = run_instruction(device, "copysign.f32", "f4", b, a).view("u4")
    assert found.tolist() == (a.view("u4") & 0x7FFFFFFF | b.view("u4") & 0x80000000).tolist()


TESTS = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a == a and b == b and a != b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "num": lambda a, b: a == a and b == b,
}  # fmt: skip
OPPOSITE = {"equ": "ne", "neu": "eq", "ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt", "nan": "num"}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_comparisons_with_nan(device, dtype):
    """The unordered ones are what the ordered opposite is not."""
    rng = np.random.default_rng(11)
    a, b = floats(dtype, rng), floats(dtype, rng)
    b[::3] = a[::3]
    kind, letter = f"f{8 * np.dtype(dtype).itemsize}", "f" if dtype == "f4" else "fd"
    size = np.dtype(dtype).itemsize
    loads = "".join(
        f"mad.lo.u64 %rd30, %rd31, {size}, %rd{i};\nld.global.{kind} %{letter}{i}, [%rd30];\n" for i in range(2)
    )
    for name in (*TESTS, *OPPOSITE):
        body = f"{loads}setp.{name}.{kind} %p0, %{letter}0, %{letter}1;\nselp.u32 %r15, 1, 0, %p0;"
        plain = TESTS[OPPOSITE.get(name, name)]
        expected = [plain(x, y) != (name in OPPOSITE) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        assert run_body(device, body, len(a), "u4", a, b).astype(bool).tolist() == expected, name


def test_predicates_joined_and_both_results(device):
    body = """
    and.b32 %r0, %r31, 3; and.b32 %r1, %r31, 8; setp.ne.u32 %p2, %r1, 0;
    setp.lt.and.u32 %p0|%p1, %r0, 2, %p2; setp.lt.or.s32 %p3, %r0, 2, !%p2; setp.lt.xor.s32 %p4, %r0, 2, %p2;
    selp.u32 %r2, 1, 0, %p0; selp.u32 %r3, 2, 0, %p1; selp.u32 %r4, 4, 0, %p3; selp.u32 %r5, 8, 0, %p4;
    not.pred %p5, %p0; selp.u32 %r6, 16, 0, %p5; set.lt.u32.u32 %r7, %r0, 2; and.b32 %r7, %r7, 32;
    or.b32 %r15, %r2, %r3; or.b32 %r15, %r15, %r4; or.b32 %r15, %r15, %r5; or.b32 %r15, %r15, %r6;
    or.b32 %r15, %r15, %r7;"""
    expected = []
    for t in range(32):
        low, high = t % 4 < 2, t & 8 != 0
        expected.append(
            (low and high) + 2 * (not low and high) + 4 * (low or not high) + 8 * (low != high)
            + 16 * (not (low and high)) + 32 * low
        )  # fmt: skip
    assert run_body(device, body, 32, "u4").tolist() == expected


ROUND: dict[str, Callable[[Fraction], int]] = {
    "rni": round, "rzi": int, "rmi": lambda v: v.__floor__(), "rpi": lambda v: v.__ceil__(),
}  # fmt: skip


@pytest.mark.parametrize("way", list(ROUND))
@pytest.mark.parametrize("of", ["f4", "f8"])
def test_floats_to_integers_stop_at_the_ends(device, of, way):
    rng = np.random.default_rng(12)
    a = floats(of, rng)
    for to in INTS:
        info, wide = np.iinfo(to), to.itemsize == 8 or of == "f8"
        nan = wrapped(1 << info.bits - 1, to) if wide else 0
        finite = np.clip(a.astype("f8"), -1e300, 1e300)
        whole = [nan if v != v else min(max(ROUND[way](Fraction(v)), info.min), info.max) for v in finite.tolist()]
        op = f"cvt.{way}.{suffix(to)}.f{8 * np.dtype(of).itemsize}"
        assert run_instruction(device, op, to, a).tolist() == whole, op


@pytest.mark.parametrize("way", ["rn", "rz", "rm", "rp"])
def test_directed_conversions(device, way):
    rng = np.random.default_rng(13)
    a = floats("f8", rng)
    expected = [rounded(Fraction(v), "f4", way) if np.isfinite(v) and v else v for v in a.tolist()]
    same_bits(run_instruction(device, f"cvt.{way}.f32.f64", "f4", a), np.array(expected))
    for of in ("i4", "u4", "i8", "u8"):
        for to in ("f4", "f8"):
            b = edges(of, rng)
            found = run_instruction(device, f"cvt.{way}.f{8 * np.dtype(to).itemsize}.{suffix(of)}", to, b)
            same_bits(found, [rounded(Fraction(v), to, way) if v else 0.0 for v in b.tolist()])


def test_integers_to_integers(device):
    rng = np.random.default_rng(14)
    for of in INTS:
        a = edges(of, rng)
        for to in INTS:
            found = run_instruction(device, f"cvt.{suffix(to)}.{suffix(of)}", to, a).tolist()
            assert found == [wrapped(v, to) for v in a.tolist()]
            info = np.iinfo(to)
            found = run_instruction(device, f"cvt.sat.{suffix(to)}.{suffix(of)}", to, a).tolist()
            assert found == [min(max(v, info.min), info.max) for v in a.tolist()]


@QUICK
@given(
    mode=st.sampled_from(["up", "down", "bfly", "idx"]),
    by=st.integers(0, 31),
    width=st.sampled_from([1, 2, 4, 8, 16, 32]),
)
def test_shuffles(device, mode, by, width):
    """Against the words of the CUDA C++ guide: segments of `width` lanes."""
    values = np.random.default_rng(by).integers(0, 2**32, 64, dtype=np.uint32)
    clamp = ((32 - width) << 8) | (0 if mode == "up" else 31)
    body = f"""mad.lo.u64 %rd30, %rd31, 4, %rd0; ld.global.u32 %r0, [%rd30];
    shfl.sync.{mode}.b32 %r15|%p0, %r0, {by}, {clamp}, 0xffffffff;"""
    expected = []
    for lane in range(64):
        warp, own = lane // 32 * 32, lane % 32
        low = own // width * width
        source = {"up": own - by, "down": own + by, "bfly": own ^ by, "idx": low + by % width}[mode]
        inside = source >= low if mode == "up" else source < low + width
        expected.append(int(values[warp + (source if inside else own)]))
    assert run_body(device, body, 64, "u4", values).tolist() == expected


def test_votes_and_matches(device):
    values = np.random.default_rng(15).integers(0, 4, 64).astype("u4")
    load = "mad.lo.u64 %rd30, %rd31, 4, %rd0; ld.global.u32 %r0, [%rd30]; setp.eq.u32 %p0, %r0, 1;"
    rows = values.reshape(2, 32)
    ballots = [sum(int(v == 1) << i for i, v in enumerate(row)) for row in rows]
    found = run_body(device, load + "vote.sync.ballot.b32 %r15, %p0, 0xffffffff;", 64, "u4", values)
    assert found.tolist() == [ballots[0]] * 32 + [ballots[1]] * 32
    found = run_body(device, load + "match.any.sync.b32 %r15, %r0, 0xffffffff;", 64, "u4", values)
    assert found.tolist() == [sum(int(w == v) << i for i, w in enumerate(row)) for row in rows for v in row]
    body = load + "vote.sync.any.pred %p1, %p0, -1; vote.sync.all.pred %p2, %p0, -1;"
    body += "selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 2, 0, %p2; add.u32 %r15, %r1, %r2;"
    same = np.ones(64, dtype="u4")
    same[40] = 0
    assert run_body(device, body, 64, "u4", same).tolist() == [3] * 32 + [1] * 32
    found = run_body(device, load + "redux.sync.max.u32 %r15, %r0, 0xffffffff;", 64, "u4", values)
    assert found.tolist() == [int(row.max()) for row in rows for _ in range(32)]


CHANGE: dict[str, Callable[[int, int], int]] = {
    "add": lambda old, v: old + v, "min": min, "max": max, "and": lambda old, v: old & v,
    "or": lambda old, v: old | v, "xor": lambda old, v: old ^ v, "exch": lambda old, v: v,
    "inc": lambda old, v: 0 if old >= v else old + 1, "dec": lambda old, v: v if old == 0 or old > v else old - 1,
    "cas": lambda old, v: 77 if old == v else old,
}  # fmt: skip
ATOMICS = [
    (name, kind)
    for name in ("add", "min", "max", "and", "or", "xor", "exch", "cas") for kind in ("u32", "s32", "u64", "s64")
] + [("inc", "u32"), ("dec", "u32")]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), ATOMICS)
def test_atomics_one_lane_after_the_other(device, name, kind):
    """A hot word and a cold one: what is left, and what each lane found."""
    dtype = np.dtype(f"{kind[0].replace('s', 'i')}{int(kind[1:]) // 8}")
    rng = np.random.default_rng(16)
    given = edges(dtype, rng, 64)
    where = (np.arange(64) % 5 == 0).astype("u8")
    cells = np.array([3, 5], dtype=dtype)
    bits, prefix = kind[1:], "rd" if kind[1:] == "64" else "r"
    typed = f"b{bits}" if name in ("and", "or", "xor", "exch", "cas") else kind
    typed = "u64" if (name, kind) == ("add", "s64") else typed
    extra = f", %{prefix}6" if name == "cas" else ""
    body = f"""mad.lo.u64 %rd30, %rd31, 8, %rd1; ld.global.u64 %rd10, [%rd30];
    mad.lo.u64 %rd30, %rd31, {dtype.itemsize}, %rd0; ld.global.b{bits} %{prefix}5, [%rd30];
    mov.b{bits} %{prefix}6, 77; mad.lo.u64 %rd12, %rd10, {dtype.itemsize}, %rd2;
    atom.global.{name}.{typed} %{prefix}15, [%rd12], %{prefix}5{extra};"""
    if name == "cas":
        given[:40] = 3
    left, found = cells.tolist(), []
    for w, v in zip(where.tolist(), given.tolist(), strict=True):
        old = left[w]
        found.append(old)
        left[w] = wrapped(CHANGE[name](old, v), dtype)
    assert run_body(device, body, 64, dtype, given, where, cells).tolist() == found
