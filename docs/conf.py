# SPDX-License-Identifier: Apache-2.0
"""Sphinx: the pages are Markdown, the reference comes from the docstrings."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "topoalloc"
author = "The topoalloc developers"
copyright = author  # noqa: A001
release = installed_version("topoalloc")
version = release.partition("+")[0]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
root_doc = "index"
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "alabaster"
html_theme_options = {"description": "Exact placement on one node and across nodes"}
