"""Settings of the documentation, built by ``python -m sphinx -W -n docs docs/_build`` where ``.[docs]`` is installed."""

import runpy
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx

import skentropy

project = "skentropy"
author = "The skentropy developers"
copyright = f"2026, {author}"
version = release = skentropy.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    # The pages hold all that they need, and work without a network.
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst", "sg_execution_times.rst", "gallery/sg_execution_times.rst"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
default_role = "literal"
templates_path = ["_templates"]
math_number_all = False
math_eqref_format = "({number})"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
numpydoc_class_members_toctree = False
# The template of classes shows methods whole, with their parameters, instead of a table of first lines.
numpydoc_show_class_members = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "ignore_pattern": "quickstart",
    "filename_pattern": "/(plot|run|stream)_",
    "gallery_dirs": "gallery",
    "doc_module": "skentropy",
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"skentropy": None},
    "within_subsection_order": "FileNameSortKey",
    "show_memory": False,
    "thumbnail_size": (560, 380),
    "show_signature": False,
    # What a cell ends with is shown unless it only says where an object is in memory.
    "ignore_repr_types": r"matplotlib|skentropy\.inspection",
}

html_theme = "pydata_sphinx_theme"
html_title = f"skentropy {version}"
html_static_path = ["_static"]
html_css_files = ["skentropy.css"]
html_copy_source = False
html_show_sourcelink = False
# Pages that have no chapters beside them.
html_sidebars: dict[str, list[str]] = {name: [] for name in ("get_started", "papers", "notation", "changelog")}
html_theme_options = {"navigation_with_keys": False, "show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}


def skip_borrowed(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what is scikit-learn's or Python's own, which their documentation describes."""
    borrowed = str(getattr(member, "__module__", "")).startswith(("sklearn.", "collections.abc", "_collections_abc"))
    return True if borrowed else None


def leave_one_signature(app: Sphinx, domain: str, objtype: str, content: addnodes.desc_content) -> None:
    """Leave out the repeated signatures of a function that has an implementation for each of several types."""
    seen: set[str] = set()
    for signature in [child for child in content.parent.children if isinstance(child, addnodes.desc_signature)]:
        if signature.astext() in seen:
            content.parent.remove(signature)
        seen.add(signature.astext())


def end_blocks(app: Sphinx, docname: str, source: list[str]) -> None:
    """Leave out the empty line by which doctest knows the end of what is printed."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


def draw_speed(app: Sphinx) -> None:
    """Draw the results of the benchmarks as they are."""
    draw = runpy.run_path(str(app.srcdir / "figures.py"))["draw_speed"]
    draw(app.srcdir / "benchmarks", app.srcdir / "benchmarks" / "speed.png")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", draw_speed)
    app.connect("source-read", end_blocks)
    app.connect("autodoc-skip-member", skip_borrowed)
    app.connect("object-description-transform", leave_one_signature)
