"""The types of a kernel's arguments: as a key, as Numba has them, and as the words that compiled code is called with.

Compiled code takes an array as seven words and more: two that count references, which are 0 here, its size, the size of
an item, the address, its shape and its strides.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import optional

#: Of an array its dtype, dimensions and whether it is C-contiguous; of a number its dtype; of a tuple its items' kinds.
Kind = tuple[Any, ...]

_INT, _FLOAT, _BOOL = (np.dtype(np.int64),), (np.dtype(np.float64),), (np.dtype(np.bool_),)


def kind_of(argument: Any) -> Kind:
    """The type of an argument."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.c_contiguous
    if isinstance(argument, tuple):
        return (tuple([kind_of(item) for item in argument]),)
    if isinstance(argument, (bool, np.bool_)):
        return _BOOL
    if isinstance(argument, int):
        return _INT
    return _FLOAT if isinstance(argument, float) else (argument.dtype,)


def numba_type(kind: Kind) -> Any:
    """The type as Numba has it."""
    types = optional.load("numba.core.types")
    if len(kind) == 3:
        dtype, dimensions, contiguous = kind
        return types.Array(_number(types, dtype), dimensions, "C" if contiguous else "A")
    if isinstance(kind[0], tuple):
        return types.Tuple([numba_type(item) for item in kind[0]])
    return _number(types, kind[0])


def _number(types: Any, dtype: np.dtype[Any]) -> Any:
    return types.boolean if dtype == np.bool_ else getattr(types, dtype.name)


def words_of(arguments: Sequence[Any]) -> list[Any]:
    """What compiled code is called with."""
    words: list[Any] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            address = argument.__array_interface__["data"][0]
            words += (0, 0, argument.size, argument.itemsize, address, *argument.shape, *argument.strides)
        elif isinstance(argument, tuple):
            words += words_of(argument)
        else:
            words.append(float(argument) if isinstance(argument, float | np.floating) else int(argument))
    return words


def llvm_words(kind: Kind) -> list[str]:
    """The types of these, as LLVM names them."""
    if len(kind) == 3:
        return ["ptr", "ptr", "i64", "i64", "ptr", *["i64"] * (2 * int(kind[1]))]
    if isinstance(kind[0], tuple):
        return [word for item in kind[0] for word in llvm_words(item)]
    letter, bits = kind[0].kind, 8 * kind[0].itemsize
    return [{32: "float", 64: "double"}[bits] if letter == "f" else f"i{bits}"]
