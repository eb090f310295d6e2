"""scikit-learn's callback protocol, where the installed version has it (from 1.9)."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin before version 1.9: nothing can be registered, nothing is called."""

        def _init_callback_context(self, **options: Any) -> None:
            return None


__all__ = ["CallbackSupportMixin"]
