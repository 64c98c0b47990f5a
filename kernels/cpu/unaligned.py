"""Words read from and written to any address, as pages of a file hold them: little-endian, aligned to nothing."""

from typing import Any

from ... import optional
from .jit import intrinsic, part


def _types() -> Any:
    return optional.load("numba.core.types")


def _place(context: Any, builder: Any, element: Any, address: Any, offset: Any) -> Any:
    """The pointer to `offset` bytes beyond an address: LLVM sees that it runs in even steps where `offset` does."""
    start = builder.inttoptr(address, context.get_value_type(_types().voidptr))
    return builder.bitcast(builder.gep(start, [offset]), context.get_value_type(_types().CPointer(element)))


def _reader(name: str) -> Any:
    @intrinsic
    def read(typing_context, address, offset):
        element, whole = getattr(_types(), name), _types().int64

        def generate(context, builder, sig, arguments):
            return builder.load(_place(context, builder, element, *arguments), align=1)

        return element(whole, whole), generate

    return read


def _writer(name: str) -> Any:
    @intrinsic
    def write(typing_context, address, offset, value):
        element, whole = getattr(_types(), name), _types().int64

        def generate(context, builder, sig, arguments):
            builder.store(arguments[2], _place(context, builder, element, *arguments[:2]), align=1)
            return context.get_dummy_value()

        return _types().void(whole, whole, element), generate

    return write


@intrinsic
def fetch_soon(typing_context, address):
    """Ask for what stands at an address, which need not be one of ours, before it is read."""

    def generate(context, builder, sig, arguments):
        ir = optional.load("numba.core.cgutils").ir
        pointer, flag = context.get_value_type(_types().voidptr), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], shape)
        builder.call(function, [builder.inttoptr(arguments[0], pointer), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return _types().void(_types().int64), generate


#: The byte, or the word of 4 or 8 bytes, that stands some bytes beyond an address; and the same put there.
byte_at, word4_at, word8_at = (_reader(name) for name in ("uint8", "uint32", "uint64"))
put_byte, put_word4, put_word8 = (_writer(name) for name in ("uint8", "uint32", "uint64"))


@part
def copy_bytes(source, target, size):
    """Copy what stands at one address to another; the two do not overlap."""
    while size >= 8:
        put_word8(target, 0, word8_at(source, 0))
        source += 8
        target += 8
        size -= 8
    if size >= 4:
        put_word4(target, 0, word4_at(source, 0))
        put_word4(target, size - 4, word4_at(source, size - 4))
    else:
        for k in range(size):
            put_byte(target, k, byte_at(source, k))


@intrinsic
def spreads_sixteen(typing_context):
    """Whether the processor that is compiled for has an instruction for `spread_sixteen` (of AVX-512)."""

    def generate(context, builder, sig, arguments):
        known = optional.load("llvmlite.binding").get_host_cpu_features().get("avx512f", False)
        return context.get_constant(_types().boolean, bool(known))

    return _types().boolean(), generate


@intrinsic
def spread_sixteen(typing_context, out, source, chosen):
    """Sixteen words of 4 bytes to `out`: for each byte at `chosen` that is not 0 the next one of those that stand side
    by side at `source`, else 0. Gives how many were taken; no more are read.
    """

    def generate(context, builder, sig, arguments):
        ir = optional.load("llvmlite.ir")
        words, flags = ir.VectorType(ir.IntType(32), 16), ir.VectorType(ir.IntType(8), 16)
        to, begin, at = (
            builder.inttoptr(address, kind.as_pointer())
            for address, kind in zip(arguments, (words, ir.IntType(32), flags), strict=True)
        )
        mask = builder.icmp_unsigned("!=", builder.load(at, align=1), ir.Constant(flags, None))
        kind = ir.FunctionType(words, [begin.type, mask.type, words])
        expand = builder.module.globals.get("llvm.masked.expandload.v16i32")
        expand = expand or ir.Function(builder.module, kind, "llvm.masked.expandload.v16i32")
        builder.store(builder.call(expand, [begin, mask, ir.Constant(words, None)]), to, align=1)
        return builder.zext(builder.ctpop(builder.bitcast(mask, ir.IntType(16))), ir.IntType(64))

    whole = _types().int64
    return whole(whole, whole, whole), generate
