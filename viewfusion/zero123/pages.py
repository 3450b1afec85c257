"""Memory of a mapped file, given back once its numbers have been copied.

Enters: a tensor. Leaves: nothing; the process holds fewer of the file's pages. A checkpoint whose weights
are converted would otherwise lie in memory twice: as they are in the file, and as they are wanted.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import torch

_MAPS = Path("/proc/self/maps")
_LEAST_BYTES = 2**16  # below, looking costs more than it gives


def release(tensor: torch.Tensor) -> None:
    """Let go of the pages of ``tensor`` if it is a view of a memory-mapped file.

    Whoever reads the tensor again gets them from the file again; what was written into a private mapping
    would be lost, so nobody may have. Other memory, and systems other than Linux, are left alone.
    """
    size = tensor.numel() * tensor.element_size()
    usual = tensor.device.type == "cpu" and tensor.is_contiguous()
    if size < _LEAST_BYTES or not usual or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = tensor.data_ptr()
    if not _is_mapped_file(start, start + size):
        return
    # Whole pages only: those at the edges are shared with the neighbours in the file.
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
    ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def _is_mapped_file(start: int, end: int) -> bool:
    """Whether one mapping of a file covers these addresses; advice on any other memory would clear it."""
    try:
        # The system writes lines as they are read: as few as possible, this being asked for every weight.
        with _MAPS.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                span, _, _, _, inode, *_ = line.split(maxsplit=5)
                low, _, high = span.partition("-")
                if int(low, 16) <= start < int(high, 16):
                    return inode != "0" and end <= int(high, 16)
    except OSError:
        pass
    return False
