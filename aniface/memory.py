"""Freed memory: kept for the next buffer, or handed back to the kernel and asked for again, page by page."""

from __future__ import annotations

import ctypes
import os

# The names of glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4

_kept = 0


def keep_freed_memory(everything: bool = False) -> None:
    """Tell glibc's malloc to keep freed memory for this process, up to 256 MB of it.

    PyTorch on a CPU takes and frees large buffers all the time. As malloc comes, they go back to the kernel after every operation; page
    faults are then a sixth of what a picture costs, a third of a training step. A later call never takes back what an earlier one set. Does
    nothing where the C library has no mallopt, or where the environment sets it (MALLOC_TRIM_THRESHOLD_).

    Args:
        everything: keep all of it, buffers of any size: for programs that do nothing but train.
    """
    global _kept
    kept = 2**31 - 1 if everything else 256 * 2**20
    if kept <= _kept or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    _kept = kept
    mallopt(TRIM_THRESHOLD, kept)
    if everything:
        mallopt(MMAP_MAX, 0)
        mallopt(TOP_PAD, 256 * 2**20)
    else:
        mallopt(MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc takes; the painter's largest buffers have 16 MB
