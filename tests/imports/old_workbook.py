"""A writer of XLS files (BIFF8 in a compound file): texts and numbers in one sheet, which is all that tests need."""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

SECTOR = 512
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def old_workbook(rows: Iterable[Sequence[Any]]) -> bytes:
    """The bytes of a workbook with one sheet."""
    sheet = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for number, cells in enumerate(rows):
        for place, cell in enumerate(cells):
            head = struct.pack("<HHH", number, place, 0)
            if isinstance(cell, str):
                text = cell.encode("latin-1")
                sheet += _record(0x204, head + struct.pack("<HB", len(text), 0) + text)
            else:
                sheet += _record(0x203, head + struct.pack("<d", cell))
    sheet += _record(0x0A, b"")
    opening = _record(0x809, struct.pack("<HHHHII", 0x600, 0x05, 0, 0, 0, 0))
    named = _record(0x85, struct.pack("<IBBBB", 0, 0, 0, 6, 0) + b"Sheet1")
    start = len(opening) + len(named) + 4
    named = _record(0x85, struct.pack("<IBBBB", start, 0, 0, 6, 0) + b"Sheet1")
    return _compound(opening + named + _record(0x0A, b"") + sheet)


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _compound(stream: bytes) -> bytes:
    """One stream `Workbook`, padded past the size below which streams live elsewhere."""
    stream += bytes(max(0, 4096 - len(stream)))
    stream += bytes(-len(stream) % SECTOR)
    count = len(stream) // SECTOR
    chain = [FAT, END, *range(3, 2 + count), END]
    fat = struct.pack(f"<{len(chain)}I", *chain) + struct.pack("<I", FREE) * (SECTOR // 4 - len(chain))
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
        + struct.pack("<10I", 0, 1, 1, 0, 4096, END, 0, END, 0, 0) + struct.pack("<I", FREE) * 108
    )  # fmt: skip
    directory = _entry("Root Entry", 5, 1, END, 0) + _entry("Workbook", 2, FREE, 2, len(stream)) + bytes(256)
    return header + fat + directory + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le") + b"\x00\x00"
    return (
        text + bytes(64 - len(text)) + struct.pack("<HBBIII", len(text), kind, 1, FREE, FREE, child)
        + bytes(36) + struct.pack("<III", start, size, 0)
    )  # fmt: skip
