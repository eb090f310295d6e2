"""Threads that outlive what started them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_thread_outlives() -> Iterator[None]:
    """All threads that start inside are over soon after the end; a pool that is closed does not wait for its threads."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10.0)
        assert not thread.is_alive()
