"""Settings of the site; `make docs` builds it."""

import importlib
import typing
from pathlib import Path

typing.GENERATING_DOCUMENTATION = "kit"  # jaxtyping: annotations read Float[Tensor, "N 3"]

import plotly  # noqa: E402

import kit  # noqa: E402

project = "lidar-distillation-kit"
author = "The lidar-distillation-kit authors"
copyright = author
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

# Pages and notebooks. docs/executed_notebooks.py has executed the notebooks before.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

# API: Google style; single backticks in docstrings are code.
default_role = "code"
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Source", "Source")]

# Broken links fail the build, except links to types of other packages, whose inventories would have
# to be downloaded.
nitpicky = True
OTHERS = "torch|np|numpy|nn|plotly|go|anywidget|traitlets|pathlib|collections|typing|PIL|jaxtyping"
nitpick_ignore_regex = [(r"py:.*", rf"({OTHERS})\..*")]

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = [
    "_static",
    "_build/static",
    str(Path(plotly.__file__).parent / "package_data/plotly.min.js"),
]
html_css_files = ["kit.css"]
html_js_files = ["figures.js"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_context = {"default_mode": "auto"}

ROOMS = (
    "data street projection geometry teacher student distill features evaluate ask discover show "
    "store"
).split()


def write_exported_names(_) -> None:
    """Write the table of the names that `kit` exports, by room in the order of the method."""
    homes: dict[str, list[str]] = {room: [] for room in ROOMS}
    for name in kit.__all__:
        found = getattr(kit, name)
        module = getattr(found, "__module__", None) or kit._HOME[name]
        homes[module.split(".")[1]].append(f"{module}.{name}")
    lines = []
    for room, names in homes.items():
        if names:
            lines += [f".. rubric:: kit.{room}", "", ".. autosummary::", ""]
            lines += [*(f"   ~{name}" for name in sorted(names)), ""]
    path = Path(__file__).parent / "api/exported.txt"
    path.write_text("\n".join(lines))


def setup(app) -> None:
    importlib.import_module("kit.show")
    app.connect("builder-inited", write_exported_names)
