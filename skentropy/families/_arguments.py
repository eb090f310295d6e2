"""Objects that are what their constructors' arguments say, as scikit-learn's estimators are."""

from __future__ import annotations

from inspect import signature
from typing import Any, Self, final


class HasArguments:
    """Arguments that can be read, set and searched over, such as ``family__r``, and by which objects are equal."""

    @final
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor, as estimators do.

        Parameters
        ----------
        deep : bool, default=True
            Without effect.

        Returns
        -------
        dict
        """
        names = list(signature(type(self)).parameters)
        return {name: getattr(self, name) for name in names}

    @final
    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor, which checks them.

        Parameters
        ----------
        **params
            Those that change.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no such argument, or it is out of range.
        """
        known = self.get_params()
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no parameters {unknown}; it has {list(known)}.")
        type(self).__init__(self, **{**known, **params})
        return self

    @final
    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    @final
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    @final
    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))
