"""How does a command print what it found? In columns; what a stranger wrote cannot move the cursor."""

from collections.abc import Sequence
from datetime import UTC, datetime


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines of aligned columns, `header` first."""
    cells = [list(header), *([shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))
