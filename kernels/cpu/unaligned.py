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
