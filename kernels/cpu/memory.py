"""Typed pointers from addresses, and the bits of numbers. A tile of a register is an address inside the kernels:
passing it costs one word where an array costs seven, and Numba adds neither reference counts nor negative indexes.
"""

from typing import Any

from ... import optional

types = optional.load("numba.core.types")
intrinsic = optional.load("numba.extending").intrinsic


def _pointer(element: Any) -> Any:
    @intrinsic
    def pointer(typing_context, address):
        signature = types.CPointer(element)(types.int64)

        def generate(context, builder, sig, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(sig.return_type))

        return signature, generate

    return pointer


i1, i2, i4, i8 = (_pointer(element) for element in (types.int8, types.int16, types.int32, types.int64))
u1, u2, u4, u8 = (_pointer(element) for element in (types.uint8, types.uint16, types.uint32, types.uint64))
f4, f8 = _pointer(types.float32), _pointer(types.float64)


def _bitcast(source: Any, target: Any) -> Any:
    @intrinsic
    def cast(typing_context, value):
        def generate(context, builder, sig, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(sig.return_type))

        return target(source), generate

    return cast


#: The 8 bytes of a float64 as int64, and back.
bits_of, float_of = _bitcast(types.float64, types.int64), _bitcast(types.int64, types.float64)


@intrinsic
def where(typing_context, condition, x, y):
    """One of two numbers, both computed: no branch, so loops around it vectorise."""
    result = typing_context.unify_types(types.unliteral(x), types.unliteral(y))

    def generate(context, builder, sig, arguments):
        sides = [context.cast(builder, arguments[k], sig.args[k], result) for k in (1, 2)]
        return builder.select(context.cast(builder, arguments[0], sig.args[0], types.boolean), *sides)

    return result(condition, x, y), generate
