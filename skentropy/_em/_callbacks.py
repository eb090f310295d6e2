"""scikit-learn's callback protocol, where the installed version has it (from 1.9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin before version 1.9: it takes no callbacks and calls none."""

        def _init_callback_context(self, **options: Any) -> None:
            return None


@contextmanager
def subtask(context: Any, caller: Any, estimator: Any, X: Any) -> Iterator[None]:
    """Announce the fit of an estimator to the callbacks of its caller's fit, as a task; without context, do nothing."""
    if context is None:
        yield
        return
    with context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=caller, X=X)
        yield
    context.call_on_fit_task_end(estimator=caller, X=X)


__all__ = ["CallbackSupportMixin", "subtask"]
