"""The text of a kernel that works out every expression of a table in one launch, whatever the number of programs."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..opcodes import STORAGE, Op
from .device import Kernel
from .printer import CARRIED, Rows
from .source import text
from .variants import SLOT, Variant

THREADS = 256
_SHARED = ("words.cuh", "fused_steps.cuh", "formulas.cuh", "fused_rows.cuh")
#: Blocks that a multiprocessor is to hold at once, which bounds a thread's registers: 48, 64, 80.
_LIGHT, _HEAVY, _SINGLY = 5, 4, 3


@lru_cache(maxsize=256)
def columns_kernel(variants: tuple[Variant, ...]) -> Kernel:
    """The kernel of `variants` that stores into arrays."""
    cases = "".join(
        f"        case {k}: stored<Program{k}>(record, status, origin, first, rows); break;\n"
        for k in range(len(variants))
    )
    programs = "".join(_struct(number, variant, matrix=False) for number, variant in enumerate(variants))
    entry = f"""
extern "C" __global__ void __launch_bounds__({THREADS}, {_blocks(variants)})
columns(const u64* words, u64* status, i64 start, i64 stop, u32 parts) {{
    const u32 expression = blockIdx.x / parts, part = blockIdx.x % parts;
    const i64 origin = (start & ~31LL) + (i64)part * (4 * blockDim.x);
    const int first = start > origin ? (int)(start - origin) : 0;
    const int rows = stop - origin < 4 * blockDim.x ? (int)(stop - origin) : (int)(4 * blockDim.x);
    const u64 what = __ldg(words + expression);
    const u64* record = words + (what >> 16);
    switch ((int)(what & 0xFFFF)) {{
{cases}    }}
}}
"""
    return Kernel(text(*_SHARED, "fused_columns.cuh") + programs + entry, "columns")


@lru_cache(maxsize=256)
def matrix_kernel(variants: tuple[Variant, ...]) -> Kernel:
    """The kernel of `variants` that stores into a float32 matrix."""
    programs = "".join(_struct(number, variant, matrix=True) for number, variant in enumerate(variants))
    cases = "".join(
        f"        case {k}: shared_out<Program{k}>(tile, record, count, pitch, origin, rows, status); break;\n"
        for k in range(len(variants))
    )
    entry = f"""
extern "C" __global__ void __launch_bounds__({THREADS}, {_blocks(variants)})
matrix(const u64* words, u64* status, float* out, i64 n_rows, i64 width, u32 chunks, int pitch) {{
    extern __shared__ __align__(16) float tile[];
    const u64* head = words + blockIdx.x % chunks * {HEAD};
    const i64 origin = (i64)(blockIdx.x / chunks) * TILE_ROWS;
    const int rows = n_rows - origin < TILE_ROWS ? (int)(n_rows - origin) : TILE_ROWS;
    const u64* shares = words + __ldg(head + 3);
    const u32 n_shares = (u32)__ldg(head + 4);
#pragma unroll 1
    for (u32 share = threadIdx.x / 32; share < n_shares; share += {THREADS // 32}) {{
        const u64 what = __ldg(shares + share);
        const u64* record = words + (what >> 20);
        const u32 count = (u32)(what >> 16 & 15);
        switch ((int)(what & 0xFFFF)) {{
{cases}        }}
    }}
    __syncthreads();
    const u64 list = __ldg(head + 2);
    copied_out(tile, out + origin * width + (i64)__ldg(head), rows, width, (int)__ldg(head + 1),
               list ? words + list : nullptr, pitch);
}}
"""
    return Kernel(text(*_SHARED, "fused_matrix.cuh") + programs + entry, "matrix")


#: Words that tell of a chunk of columns: the first, how many, where they are listed (0: side by side), where the warps'
#: shares begin, how many.
HEAD = 5


def _blocks(variants: Sequence[Variant]) -> str:
    """Blocks that a multiprocessor holds of a kernel: the most at which no program spills (tests hold it).

    For sm_100 and later the compiler needs some registers more.
    """
    held = min((_held(variant) for variant in variants), default=_LIGHT)
    return f"{held}" if held == _SINGLY else f"{held} - (__CUDA_ARCH__ >= 1000)"


def _held(variant: Variant) -> int:
    if variant.at_once == 1:
        return _SINGLY
    wide = {Op.LOAD_F8, Op.LOAD_I8, Op.LOAD_U8, *(op for op in Op if Op.LOG <= op <= Op.ARCTAN)}
    light = len(variant.encoded) <= 1 and not wide & {step[0] for step in variant.steps}
    return _LIGHT if light else _HEAVY


def _struct(number: int, variant: Variant, matrix: bool) -> str:
    """One program as a type: what an expression brings, how rows are read, worked out and written."""
    at_once = variant.at_once
    bare: Callable[[int], str] = (lambda slot: "true") if matrix else (lambda slot: f"bare{slot}")
    rows = Rows(variant, variant.folded, bare)
    fails = rows.fails or Rows(variant, False, bare).fails
    ahead = 2 if at_once == 4 and len(variant.encoded) == 1 else 1
    members, brought = _brought(variant, rows, matrix)
    counts = {
        "N": at_once, "AHEAD": ahead, "WORDS": variant.words, "OUTPUTS": variant.outputs_at,
        "NUMBER": variant.words - 1,
    }  # fmt: skip
    constants = ", ".join(f"{name} = {value}" for name, value in counts.items())
    return f"""
struct Program{number} {{
    static const int {constants};
    static const bool FAILS = {str(fails).lower()};
{_lines(members)}    INLINE Program{number}(const u64* record, i64 origin) {{
{_lines(brought, 2)}    }}
    struct Rows {{ {_columns(variant)} }};
    INLINE void load(Rows& rows, int row, int stop) const {{
{_lines(_loads(variant), 2)}    }}
    struct Results {{ {_results(rows, at_once)} }};
    INLINE u32 at(const Rows& rows, int j, Results& results) const {{
        u32 failed = 0;
{_lines(rows.lines + _settled(variant, rows), 2)}        return failed;
    }}
    INLINE static void store(const u64* record, const Results& results, i64 origin, int row, int start,
                             int stop) {{
{_lines(_stores(variant, rows), 2)}    }}
}};
"""


def _lines(lines: Sequence[str], depth: int = 1) -> str:
    return "".join(f"{'    ' * depth}{line}\n" for line in lines)


def _storage(variant: Variant) -> list[str]:
    """The carried type of each column slot; a slot that no load reads has none."""
    found = {step[2]: CARRIED[STORAGE[step[0] - Op.LOAD_BOOL]] for step in variant.steps if step[0] <= Op.LOAD_F8}
    return [found.get(slot, "") for slot in range(len(variant.encoded))]


def _brought(variant: Variant, rows: Rows, matrix: bool) -> tuple[list[str], list[str]]:
    """The members of a program, and the lines that take them from a record."""
    fields: list[tuple[str, str, str]] = []
    for slot, kind in enumerate(_storage(variant)):
        held = [(f"const {kind}*", "values"), ("const u32*", "valid")]
        if variant.encoded[slot]:
            held = [(f"const {kind}*", "entries"), held[1], ("const int*", "ids"), ("const u32*", "known"),
                    ("int", "absent")]  # fmt: skip
        fields += [(kept, f"{name}{slot}", f"{SLOT * slot + k}") for k, (kept, name) in enumerate(held) if kind]
    taken = [_taken(kind, name, word) for kind, name, word in fields]
    for slot, null in enumerate(variant.null):
        kinds = {step[0] for step in variant.steps if step[0] in (Op.CONST_F, Op.CONST_I) and step[2] == slot}
        kind, form = ("double", "__longlong_as_double((i64){})") if Op.CONST_F in kinds else ("i64", "(i64){}")
        if kinds:
            fields.append((kind, f"p{slot}", ""))
            bits = f"__ldg(record + {SLOT * len(variant.encoded) + slot})"
            taken.append(f"p{slot} = {'0' if null else form.format(bits)};")
    if not matrix:
        for slot in rows.outputs:
            fields.append(("bool", f"bare{slot}", ""))
            taken.append(f"bare{slot} = __ldg(record + {variant.outputs_at + 2 * slot + 1}) == 0;")
    return [f"{kind} {name};" for kind, name, _ in fields] + _null_members(variant, rows, taken), taken


def _taken(kind: str, name: str, word: str) -> str:
    """The line that takes an address, or a number; what has a value a row begins at the block's first."""
    address = f"({kind})__ldg(record + {word})"
    if name.startswith("valid"):
        return f"{name} = bitmap_at({address}, origin);"
    return f"{name} = {address}{' + origin' if name.startswith(('values', 'ids')) else ''};"


_FROM_BITS = {"float": "__uint_as_float((u32){})", "double": "__longlong_as_double((i64){})"}


def _null_members(variant: Variant, rows: Rows, taken: list[str]) -> list[str]:
    """What a null gives: the outputs' bits, then a word of the failure's code and a bit an output that has a value."""
    if not variant.folded:
        return []
    members = ["u32 null_told;"]
    taken.append(f"null_told = (u32)__ldg(record + {variant.null_at + variant.n_outputs});")
    for slot, (kind, _, _) in rows.outputs.items():
        members.append(f"{kind} null{slot};")
        taken.append(f"null{slot} = {_from_bits(kind, variant.null_at + slot)};")
    if variant.clip.steps:
        kind = rows.outputs[0][0]
        members += ["float least, greatest;", f"{kind} below, above;"]
        kinds = {"least": "float", "greatest": "float", "below": kind, "above": kind}
        taken += [f"{name} = {_from_bits(kinds[name], variant.clip_at + k)};" for k, name in enumerate(kinds)]
    return members


def _from_bits(kind: str, word: int) -> str:
    return _FROM_BITS.get(kind, f"({kind}){{}}").format(f"__ldg(record + {word})")


def _columns(variant: Variant) -> str:
    at_once = variant.at_once
    return " ".join(f"{kind} x{slot}[{at_once}]; u32 k{slot};" for slot, kind in enumerate(_storage(variant)) if kind)


def _loads(variant: Variant) -> list[str]:
    lines, at_once = [], variant.at_once
    for slot, kind in enumerate(_storage(variant)):
        if not kind:
            continue
        lines.append(f"rows.k{slot} = read_valid(valid{slot}, row, stop);")
        if variant.encoded[slot]:
            lines.append(
                f"rows.k{slot} = look_up<{at_once}>(rows.x{slot}, rows.k{slot}, ids{slot}, entries{slot}, known{slot}, "
                f"absent{slot}, row, stop);"
            )
        else:
            lines.append(f"read<{at_once}>(rows.x{slot}, values{slot}, row, stop);")
    return lines


def _results(rows: Rows, at_once: int) -> str:
    return " ".join(f"{kind} y{slot}[{at_once}]; u32 m{slot} = 0;" for slot, (kind, _, _) in rows.outputs.items())


def _settled(variant: Variant, rows: Rows) -> list[str]:
    """The results of a row; with one column, whatever a null gives was worked out beforehand."""
    lines = []
    if variant.clip.steps:
        return _clipped(rows)
    if variant.folded:
        lines += ["const bool has = rows.k0 >> j & 1;", "failed = has ? failed : null_told & 3;"]
    for slot, (kind, value, valid) in rows.outputs.items():
        if variant.folded:
            lines.append(f"const {kind} y{slot} = {value}, none{slot} = null{slot};")
            lines.append(f"results.y{slot}[j] = has ? y{slot} : none{slot};")
            lines.append(f"results.m{slot} |= (u32)(has ? {valid} : null_told >> {2 + slot} & 1) << j;")
        else:
            lines.append(f"results.y{slot}[j] = {value};")
            lines.append(f"results.m{slot} |= (u32){'1' if valid == 'true' else valid} << j;")
    return lines


def _clipped(rows: Rows) -> list[str]:
    """The result of a row whose column is clipped first: at a bound and beyond it is known too. NaN is not beyond."""
    kind, value, _ = rows.outputs[0]
    return [
        "const bool has = rows.k0 >> j & 1, low = rows.x0[j] <= least, high = rows.x0[j] >= greatest;",
        f"const {kind} kept = {value}, none = null0, under = below, over = above;",
        f"const {kind} fixed = !has ? none : low ? under : over;",
        "results.y0[j] = has && !low && !high ? kept : fixed;",
        "failed = has ? failed : null_told & 3;",
        "results.m0 |= (u32)(has ? true : null_told >> 2 & 1) << j;",
    ]


def _stores(variant: Variant, rows: Rows) -> list[str]:
    lines = []
    for slot, (kind, _, _) in rows.outputs.items():
        at = variant.outputs_at + 2 * slot
        values = f"({kind}*)__ldg(record + {at}) + origin"
        lines.append(f"write<{variant.at_once}>({values}, results.y{slot}, row, start, stop);")
        bitmap = f"(u32*)bitmap_at((const u32*)__ldg(record + {at + 1}), origin)"
        lines.append(f"write_valid<{variant.at_once}>({bitmap}, results.m{slot}, row, stop);")
    return lines
