"""The text of a kernel that works out every expression of a table in one launch, whatever the number of programs."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..opcodes import STORAGE, Op
from .device import Kernel
from .printer import CARRIED, Rows, Variant
from .source import text

#: Threads of a block, and blocks that a multiprocessor is to hold at once, which bounds a thread's registers.
THREADS = 256
_BLOCKS, _BLOCKS_COSTLY = 5, 3


@lru_cache(maxsize=256)
def columns_kernel(variants: tuple[Variant, ...]) -> Kernel:
    """The kernel of `variants` that stores into arrays."""
    cases = "".join(
        f"        case {k}: stored<Program{k}>(record, status, begin, start, stop); break;\n"
        for k in range(len(variants))
    )
    programs = "".join(_struct(number, variant, matrix=False) for number, variant in enumerate(variants))
    entry = f"""
extern "C" __global__ void __launch_bounds__({THREADS}, {_blocks(variants)})
columns(const u64* words, u64* status, i64 start, i64 stop, u32 parts) {{
    const u32 expression = blockIdx.x / parts, part = blockIdx.x % parts;
    const i64 begin = (start & ~31LL) + (i64)part * (4 * blockDim.x);
    const u64 what = __ldg(words + expression);
    const u64* record = words + (what >> 16);
    switch ((int)(what & 0xFFFF)) {{
{cases}    }}
}}
"""
    return Kernel(text("fused_steps.cuh", "formulas.cuh", "fused_rows.cuh", "fused_columns.cuh") + programs + entry, "columns")


@lru_cache(maxsize=256)
def matrix_kernel(variants: tuple[Variant, ...]) -> Kernel:
    """The kernel of `variants` that stores into a float32 matrix."""
    programs = "".join(_struct(number, variant, matrix=True) for number, variant in enumerate(variants))
    fills = "".join(
        f"    dealt = filled<Program{k}>(tile, words, __ldg(head + {HEAD + 2 * k}), "
        f"(u32)__ldg(head + {HEAD + 2 * k + 1}), dealt, pitch, row0, n_rows, status);\n"
        for k in range(len(variants))
    )
    entry = f"""
extern "C" __global__ void __launch_bounds__({THREADS}, {_blocks(variants)})
matrix(const u64* words, u64* status, float* out, i64 n_rows, i64 width, u32 chunks, int pitch) {{
    extern __shared__ __align__(16) float tile[];
    const u32 chunk = blockIdx.x % chunks;
    const i64 row0 = (i64)(blockIdx.x / chunks) * TILE_ROWS;
    const u64* head = words + chunk * {HEAD + 2 * len(variants)};
    u32 dealt = 0;
{fills}    __syncthreads();
    const u64 list = __ldg(head + 2);
    copied_out(tile, out, row0, n_rows, width, (i64)__ldg(head), (int)__ldg(head + 1), list ? words + list : nullptr,
               pitch);
}}
"""
    return Kernel(text("fused_steps.cuh", "formulas.cuh", "fused_rows.cuh", "fused_matrix.cuh") + programs + entry, "matrix")


#: Words before a chunk's list of programs: its first column, how many, and where they are listed (0: side by side).
HEAD = 3


def _blocks(variants: Sequence[Variant]) -> int:
    return min((_BLOCKS if variant.at_once == 4 else _BLOCKS_COSTLY for variant in variants), default=_BLOCKS)


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
{_lines(members)}    INLINE explicit Program{number}(const u64* record) {{
{_lines(brought, 2)}    }}
    struct Rows {{ {_columns(variant)} }};
    INLINE void load(Rows& rows, i64 row, i64 stop) const {{
{_lines(_loads(variant), 2)}    }}
    struct Results {{ {_results(rows, at_once)} }};
    INLINE u32 at(const Rows& rows, int j, Results& results) const {{
        u32 failed = 0;
{_lines(rows.lines + _settled(variant, rows), 2)}        return failed;
    }}
    INLINE static void store(const u64* record, const Results& results, i64 row, i64 start, i64 stop) {{
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
        if kind:
            fields += [(f"const {kind}*", f"values{slot}", str(4 * slot)), ("const u32*", f"valid{slot}", f"{4 * slot + 1}")]
        if kind and variant.encoded[slot]:
            fields += [("const int*", f"ids{slot}", f"{4 * slot + 2}"), ("const u32*", f"known{slot}", f"{4 * slot + 3}")]
    taken = [f"{name} = ({kind})__ldg(record + {word});" for kind, name, word in fields]
    for slot, null in enumerate(variant.null):
        kinds = {step[0] for step in variant.steps if step[0] in (Op.CONST_F, Op.CONST_I) and step[2] == slot}
        kind, form = ("double", "__longlong_as_double((i64){})") if Op.CONST_F in kinds else ("i64", "(i64){}")
        if kinds:
            fields.append((kind, f"p{slot}", ""))
            taken.append(f"p{slot} = {'0' if null else form.format(f'__ldg(record + {4 * len(variant.encoded) + slot})')};")
    if not matrix:
        for slot in rows.outputs:
            fields.append(("bool", f"bare{slot}", ""))
            taken.append(f"bare{slot} = __ldg(record + {variant.outputs_at + 2 * slot + 1}) == 0;")
    return [f"{kind} {name};" for kind, name, _ in fields] + _null_members(variant, rows, taken), taken


_FROM_BITS = {"float": "__uint_as_float((u32){})", "double": "__longlong_as_double((i64){})"}


def _null_members(variant: Variant, rows: Rows, taken: list[str]) -> list[str]:
    """What a null gives: the outputs' bits, then a word of the failure's code and a bit an output that has a value."""
    if not variant.folded:
        return []
    members = ["u32 null_told;"]
    taken.append(f"null_told = (u32)__ldg(record + {variant.null_at + variant.n_outputs});")
    for slot, (kind, _, _) in rows.outputs.items():
        members.append(f"{kind} null{slot};")
        bits = _FROM_BITS.get(kind, f"({kind}){{}}").format(f"__ldg(record + {variant.null_at + slot})")
        taken.append(f"null{slot} = {bits};")
    return members


def _columns(variant: Variant) -> str:
    at_once = variant.at_once
    return " ".join(f"{kind} x{slot}[{at_once}]; u32 k{slot};" for slot, kind in enumerate(_storage(variant)) if kind)


def _loads(variant: Variant) -> list[str]:
    lines, at_once = [], variant.at_once
    for slot, kind in enumerate(_storage(variant)):
        if not kind:
            continue
        lines.append(f"rows.k{slot} = read_valid<{at_once}>(valid{slot}, row, stop);")
        if variant.encoded[slot]:
            lines.append(
                f"rows.k{slot} = look_up<{at_once}>(rows.x{slot}, rows.k{slot}, ids{slot}, values{slot}, known{slot}, "
                "row, stop);"
            )
        else:
            lines.append(f"read<{at_once}>(rows.x{slot}, values{slot}, row, stop);")
    return lines


def _results(rows: Rows, at_once: int) -> str:
    return " ".join(f"{kind} y{slot}[{at_once}]; u32 m{slot} = 0;" for slot, (kind, _, _) in rows.outputs.items())


def _settled(variant: Variant, rows: Rows) -> list[str]:
    """The results of a row; with one column, whatever a null gives was worked out beforehand."""
    lines = []
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


def _stores(variant: Variant, rows: Rows) -> list[str]:
    lines = []
    for slot, (kind, _, _) in rows.outputs.items():
        at = variant.outputs_at + 2 * slot
        lines.append(f"write<{variant.at_once}>(({kind}*)__ldg(record + {at}), results.y{slot}, row, start, stop);")
        lines.append(f"write_valid<{variant.at_once}>((u32*)__ldg(record + {at + 1}), results.m{slot}, row, stop);")
    return lines
