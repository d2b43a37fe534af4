"""How the documentation is built: `tox run -e docs`."""

from __future__ import annotations

import sealer

project = "sealer"
author = "the sealer authors"
copyright = "the sealer authors"
version = release = sealer.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build", "examples/**"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Docker for whole clusters",
    "fixed_sidebar": True,
    "page_width": "1280px",  # this, and the next two: the 120 columns of our sources fit in
    "body_max_width": "1060px",
    "code_font_size": "0.78em",
}

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
nitpicky = False
