"""Typed pointers from addresses, and the bits of numbers. A tile of a register is an address inside the kernels:
passing it costs one word where an array costs seven, and Numba adds neither reference counts nor negative indexes.
"""

from typing import Any

from ... import optional
from .jit import intrinsic


def type_called(name: str) -> Any:
    """A type of Numba's, which is imported now."""
    return getattr(optional.load("numba.core.types"), name)


def _pointer(element: str) -> Any:
    @intrinsic
    def pointer(typing_context, address):
        signature = type_called("CPointer")(type_called(element))(type_called("int64"))

        def generate(context, builder, sig, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(sig.return_type))

        return signature, generate

    return pointer


i1, i2, i4, i8 = (_pointer(element) for element in ("int8", "int16", "int32", "int64"))
u1, u2, u4, u8 = (_pointer(element) for element in ("uint8", "uint16", "uint32", "uint64"))
f4, f8 = _pointer("float32"), _pointer("float64")


def _bitcast(source: str, target: str) -> Any:
    @intrinsic
    def cast(typing_context, value):
        def generate(context, builder, sig, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(sig.return_type))

        return type_called(target)(type_called(source)), generate

    return cast


#: The 8 bytes of a float64 as int64, and back.
bits_of, float_of = _bitcast("float64", "int64"), _bitcast("int64", "float64")


@intrinsic
def eight_bytes(typing_context, data, at):
    """The 8 bytes of a uint8 array from `at` on as uint64, in the machine's order: one load."""

    def generate(context, builder, sig, arguments):
        array = context.make_array(sig.args[0])(context, builder, arguments[0])
        word = context.get_value_type(type_called("CPointer")(type_called("uint64")))
        return builder.load(builder.bitcast(builder.gep(array.data, [arguments[1]]), word), align=1)

    return type_called("uint64")(data, type_called("int64")), generate


@intrinsic
def where(typing_context, condition, x, y):
    """One of two numbers, both computed: no branch, so loops around it vectorise."""
    result = typing_context.unify_types(*map(type_called("unliteral"), (x, y)))

    def generate(context, builder, sig, arguments):
        sides = [context.cast(builder, arguments[k], sig.args[k], result) for k in (1, 2)]
        return builder.select(context.cast(builder, arguments[0], sig.args[0], type_called("boolean")), *sides)

    return result(condition, x, y), generate
