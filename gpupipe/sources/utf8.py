"""Text must be UTF-8: Arrow checks bytes that become text, but not what a file or a program calls text already."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.errors import CastError

_SHOWN = 40  # bytes of a value that a message shows


def valid_text(array: Any, name: str) -> Any:
    """The array of strings, plain or a dictionary, once all that rows use is known to be UTF-8.

    Raises:
        CastError: a row whose bytes are not UTF-8.
    """
    is_dictionary = isinstance(array, pa.DictionaryArray)
    try:
        (array.dictionary if is_dictionary else array).validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):  # what its offsets point to must not be looked at
            raise CastError(f"its text is damaged: {error}. Write the data again.").at(column=name) from error
        refuse_bytes(array, name)
        # Only an entry that no row uses is wrong: it goes.
        array = array.dictionary_decode().dictionary_encode() if is_dictionary else array
    return array


def refuse_bytes(array: Any, name: str) -> None:
    """Raise CastError for the first row of an Arrow array, of any type that becomes text, which is not UTF-8."""
    row = 0
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        for scalar in _as_bytes(chunk):
            if (value := scalar.as_py()) is not None and not _is_utf8(value):
                raise CastError(said(value)).at(row, name)
            row += 1


def said(value: bytes) -> str:
    """What is wrong with a value that is not UTF-8, and what to try."""
    shown = f"{value[:_SHOWN]!r}{'…' if len(value) > _SHOWN else ''}"
    return (
        f"the bytes {shown} are not valid UTF-8 (in Latin-1 they would be {value[:_SHOWN].decode('latin-1')!r}). "
        "Convert them to UTF-8 at the source, or leave the column unused."
    )


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_bytes(array: Any) -> Any:
    if isinstance(array, pa.ExtensionArray):
        return _as_bytes(array.storage)
    if isinstance(array, pa.RunEndEncodedArray):
        return _as_bytes(pc.run_end_decode(array))
    if isinstance(array, pa.DictionaryArray):
        return _as_bytes(array.dictionary).take(array.indices)
    return array if pa.types.is_binary(array.type) else array.cast(pa.binary())
