"""Axes with room for labels and legends."""

from __future__ import annotations

from typing import Any

# Inches of a character and of a line of tick labels, and of readable axes. Longer labels take several lines.
_CHARACTER, _LINE, _AXES = 0.085, 0.25, (3.7, 3.5)
# A wider figure would be illegible on a page that shows it 600 pixels wide.
_WIDTH = 6.0
WRAP = 60
# A legend below the axes and their label; the distance is in units of its font size.
BELOW = {"fontsize": "small", "loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": 4.5}
# A legend inside axes that the user has given, around which there may be no room.
INSIDE = {"fontsize": "x-small", "loc": "best"}


def new_axes(ax: Any, labels: list[str] | None = None) -> tuple[Any, Any]:
    """Axes to draw in, and their figure; a new figure has room for labels beside the axes."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Drawing needs matplotlib; install it by pip install 'skentropy[plot]'.") from error
    if ax is None:
        lines = [line for label in labels or [] for line in label.splitlines()]
        width = max(_WIDTH, _AXES[0] + _CHARACTER * max(map(len, lines), default=0))
        size = (width, max(_AXES[1], 1.5 + _LINE * len(lines)))
        ax = plt.subplots(layout="constrained", figsize=size if lines else None)[1]
    return ax, ax.figure
