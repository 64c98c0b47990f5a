"""Tables of short texts, for terminals and notebooks."""

from collections.abc import Sequence
from html import escape


def text_table(caption: str, table: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text, under their caption."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in table]
    return "\n".join([caption, *lines] if caption else lines)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def html_table(caption: str, table: Sequence[Sequence[str]]) -> str:
    """The same as HTML; the first row is the head."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table[0])
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in table[1:]
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
