"""Frames of cuDF and arrays of CuPy in the memory of a simulated device: as much of them as gpupipe touches.

Their classes may have nothing that the manifest's have not, and like theirs become no NumPy arrays unasked.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from .api.fakes import Fakes, held_to
from .libcudf_standin import Column, Libcudf, uploaded
from .simulated import SimulatedDevice


def refuse(*_: Any, **__: Any) -> Any:
    raise TypeError("Implicit conversion to a host NumPy array is not allowed.")


class _Located:
    """``iloc``: slices share the memory."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __getitem__(self, key: Any) -> Any:
        return self._held._part(key)


@held_to("cudf.Series")
class Series:
    __array__ = refuse

    def __init__(self, column: Column, arrow: pa.Array, name: str | None = None, index: Any = None) -> None:
        self._column, self._arrow = column, arrow
        self.name, self.index = name, range(len(arrow)) if index is None else index
        self._buffer: dict[str, Any] = {"spilled": None, "within": 0}  # of slices too; bytes before it in a larger one

    def __len__(self) -> int:
        return len(self._arrow)

    @property
    def iloc(self) -> _Located:
        return _Located(self)

    @property
    def null_count(self) -> int:
        return int(self._arrow.null_count)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Where the values are; brings them back if they are not on the device."""
        if getattr(self._arrow.type, "tz", None) is not None:  # 26.10 asks the zone's dtype for what it has not
            raise AttributeError("'DatetimeTZDtype' object has no attribute 'numpy_dtype'")
        if self._column._values is None:
            self._column._values = self._buffer["spilled"]
        values = self._column._values
        if values is None:
            raise ValueError("__cuda_array_interface__ not supported for columns with no data buffer")
        start = values.ptr + self._column.offset() * values.width + self._buffer["within"]
        return {"shape": (len(self),), "data": (start, False), "version": 3}

    def _spill(self) -> None:
        """What cuDF does where memory is short."""
        self._buffer["spilled"], self._column._values = self._column._values, None

    def memory_usage(self, index: bool = True, deep: bool = False) -> int:
        return int(self._arrow.nbytes) + (8 * len(self) if index else 0)

    def to_pylibcudf(self) -> tuple[Column, dict[str, Any]]:
        return self._column, {"name": self.name, "index": self.index}

    def to_arrow(self) -> pa.Array:
        return self._arrow.cast(pa.large_string()) if self._arrow.type == pa.string() else self._arrow

    def _part(self, key: slice) -> "Series":
        first, last, _ = key.indices(len(self))
        part = Series(self._column._slice(first, last), self._arrow.slice(first, last - first), self.name)
        part._buffer = self._buffer
        return part


@held_to("cudf.DataFrame")
class DataFrame:
    __array__ = refuse

    def __init__(self, held: list[tuple[Any, Series]], index: Any = None) -> None:
        self._held, self.index = held, index

    def __len__(self) -> int:
        return len(self._held[0][1]) if self._held else 0

    @property
    def columns(self) -> list[Any]:
        return [label for label, _ in self._held]

    @property
    def iloc(self) -> _Located:
        return _Located(self)

    def to_arrow(self, preserve_index: bool | None = None) -> pa.Table:
        if preserve_index is not False:
            raise AssertionError("the index would become a column")
        return pa.table([series.to_arrow() for _, series in self._held], names=[str(label) for label in self.columns])

    def _part(self, key: Any) -> Any:
        if isinstance(key, slice):
            return DataFrame([(label, series._part(key)) for label, series in self._held])
        rows, at = key
        assert rows == slice(None)
        return self._held[at][1]


class _Pointer:
    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


@held_to("cupy.ndarray")
class ndarray:
    """What it holds lies on the host and goes to the device when its pointer is asked for."""

    __array__ = refuse
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, device: SimulatedDevice, values: Any, taken_from: Any = None) -> None:
        self._device, self._values, self._taken_from = device, np.asarray(values), taken_from
        self._there: Any = None

    @property
    def data(self) -> _Pointer:
        if self._there is None:
            self._there = uploaded(self._device, np.ascontiguousarray(self._values))
        return _Pointer(self._there.pointer)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    @property
    def flags(self) -> Any:
        return self._values.flags

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        return self._values.copy()

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> "ndarray":
        return ndarray(self._device, self._values.all())

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __eq__(self, other: Any) -> Any:
        return ndarray(self._device, self._values == other._values)

    def __getitem__(self, key: Any) -> "ndarray":
        return ndarray(self._device, self._values[key])

    def __setitem__(self, key: Any, values: Any) -> None:
        assert self._there is None, "written after its pointer was given away"
        self._values[key] = values._values


class Packages:
    """cuDF and CuPy over one device.

    Attributes:
        library: what stands under cuDF.
        spills: cuDF's option of that name.
    """

    def __init__(self, device: SimulatedDevice) -> None:
        self.device, self.library = device, Libcudf(device)
        self.spills = False
        self.fakes = Fakes(
            self.library.behaviour()
            | {
                "cudf.DataFrame": lambda data: DataFrame(list(data.items()), range(len(next(iter(data.values()), ())))),
                "cudf.DataFrame.from_arrow": self.frame,
                "cudf.Series.from_pylibcudf": lambda col: Series(col, col._seen()),
                "cudf.Series.from_arrow": self.series,
                "cudf.get_option": lambda name: {"spill": self.spills}[name],
                "cupy.asarray": self.asarray,
                "cupy.from_dlpack": lambda array: array,
                "cupy.ascontiguousarray": lambda a: a if a._values.flags.c_contiguous else self.array(a._values.copy()),
                "cupy.packbits": lambda a, bitorder: self.array(np.packbits(a._values, bitorder=bitorder)),
                "cupy.zeros": lambda shape, dtype: self.array(np.zeros(shape, dtype)),
            }
        )

    def series(self, array: pa.Array) -> Series:
        array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
        codes = array.indices if pa.types.is_dictionary(array.type) else array
        return Series(Column(self.device, codes), array)

    def frame(self, table: pa.Table) -> DataFrame:
        held = [(name, self.series(table.column(name))) for name in table.column_names]
        return DataFrame(held, index=range(table.num_rows))

    def array(self, values: Any) -> ndarray:
        return ndarray(self.device, values)

    def asarray(self, a: Any, order: Any = None) -> ndarray:
        """As CuPy does it: what tells where it stands on the device is not copied."""
        if not hasattr(a, "__cuda_array_interface__"):
            return self.array(np.asarray(a, order=order))
        made = ndarray(self.device, self.device.download(a), taken_from=a)
        made._there = a
        return made


def installed(monkeypatch: Any, device: SimulatedDevice) -> Packages:
    """The packages where `optional.load` finds them."""
    packages = Packages(device)
    packages.fakes.install(monkeypatch, "pylibcudf", "cudf", "cupy")
    return packages
