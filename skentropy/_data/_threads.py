"""Thread pools for blocks of rows, and a limit of one thread for BLAS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import threadpoolctl
from threadpoolctl import ThreadpoolController


@contextmanager
def thread_pool(n_threads: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool for ``Rows.sum`` (None for one thread); while it is open BLAS is limited to one thread."""
    with SingleThreadedBLAS():
        if n_threads == 1:
            yield None
            return
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="skentropy")
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class SingleThreadedBLAS:
    """Limits BLAS to one thread while at least one fit of this process is in this context.

    The limit is global to the process. With several fits at once, the first one that enters sets it, and the last one that
    leaves lifts it.
    """

    _lock = threading.Lock()
    _inside = 0
    _limiter: Any = None

    def __enter__(self) -> None:
        cls = type(self)
        with cls._lock:
            if cls._inside == 0 and blas_threads() > 1:
                with _control_of_blas():
                    cls._limiter = _threadpool_controller().limit(limits=1, user_api="blas")
            cls._inside += 1

    def __exit__(self, *exception: object) -> None:
        cls = type(self)
        with cls._lock:
            cls._inside -= 1
            if cls._inside == 0 and cls._limiter is not None:
                with _control_of_blas():
                    cls._limiter.restore_original_limits()
                cls._limiter = None


@contextmanager
def _control_of_blas() -> Iterator[None]:
    """Let this thread set the limit of BLAS; some versions of threadpoolctl only obey the first thread that has set it."""
    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    release = getattr(openblas, "clear_controlling_thread", lambda force: None)
    release(force=True)
    yield
    release(force=True)


@lru_cache(maxsize=1)
def _threadpool_controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads() -> int:
    """The number of threads that BLAS may currently use."""
    libraries = _threadpool_controller().lib_controllers
    return max((int(library.num_threads) for library in libraries if library.user_api == "blas"), default=1)
