"""Settings of the site; `make docs` builds it."""

import inspect
import re
import typing
from pathlib import Path

typing.GENERATING_DOCUMENTATION = "kit"  # jaxtyping: annotations read Float[Tensor, "N 3"]

import plotly  # noqa: E402
from docutils import nodes  # noqa: E402
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402
from sphinx.util.inspect import stringify_signature  # noqa: E402

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
nb_merge_streams = True  # one box for what a cell prints
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

# API: Google style; single backticks in docstrings are code.
default_role = "code"
autosummary_generate = True
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_param = False  # lists "train, held_out: ..." as it is written
napoleon_custom_sections = [
    "Source",
    ("Attributes", "params_style"),
    ("Returned", "params_style"),
]

# A broken link fails the build. Not checked are types in signatures that belong to other packages
# (their indices would have to be downloaded), shapes such as 'N 3', and names that are not public.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"'.*'"),
    ("py:class", r"(Tensor|Module|Generator|Optimizer|ndarray|Figure|Fabric|SparseConvTensor)"),
    ("py:class", r"(Float|Int|Int8|Int32|Integer|UInt|UInt8|Bool|Num|Shaped|Through)"),
    ("py:class", r"(pathlib|collections|concurrent|os|t|torch|numpy|np|PIL|matplotlib|plotly)\..*"),
    ("py:(class|exc)", r"(lightning|spconv|anywidget|traitlets|tqdm|scipy|rosbags)\..*"),
    ("py:class", r"kit\..*\.(_\w+|T|Row|Record|Item|Settings|Annotated.*)"),
    ("py:class", r"(str \| )?(tuple|dict)\[\w+"),  # half of a type with a comma in it
]

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
html_sidebars = {"*": []}  # pages at the top need no navigation of their section
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": {  # notebooks have none: room for code and figures
        "notebooks/*": [],
        **dict.fromkeys(("*", "api/**", "_modules/**"), ["page-toc"]),
    },
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_context = {"default_mode": "auto"}

CALLABLE_ROOMS = {
    "distill": "kit.distill.loop",
    "ablate": "kit.ablate.run",
    "doctor": "kit.doctor.examine",
}


def write_exported_names(_) -> None:
    """Write the table of the names that `kit` exports, by room in the order of the method."""
    of_room: dict[str, list[str]] = {room: [] for room in kit.ROOMS}
    names = {name: getattr(kit, name) for name in kit.__all__}
    names |= {name: getattr(kit.show, name) for name in kit.show.__all__}
    for name, found in names.items():
        if callable(found):
            module = CALLABLE_ROOMS.get(name) or found.__module__
            of_room[module.split(".")[1]].append(f"{module}.{name}")
    lines = []
    for room, names in of_room.items():
        if names:
            lines += [f".. rubric:: {room}", "", ".. autosummary::", "   :nosignatures:", ""]
            lines += [*(f"   ~{name}" for name in sorted(names)), ""]
    (Path(__file__).parent / "api/exported.txt").write_text("\n".join(lines))


NAMED = re.compile(r"\s*[a-z]\w*: ")
COLON = "\ufffc"  # stands for a colon that napoleon would read as the end of a type


def before_napoleon(app, what, name, found, options, lines: list[str]) -> None:
    """Show named values below "Returns:" as a list; no text before a colon is a type."""
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:" and NAMED.match(lines[number + 1]):
            lines[number] = line.replace("Returns", "Returned")
        elif line.strip() == "Returns:":
            lines[number + 1] = lines[number + 1].replace(":", COLON)
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", COLON)
    if what == "module":  # an indented block is shown as it is written
        text = re.sub(r"(?m)^\n(?=    )", "\n.. code-block:: text\n\n", "\n".join(lines))
        lines[:] = text.splitlines()


def after_napoleon(app, what, name, found, options, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":").replace(":Returned:", ":Returns:") for line in lines]


def widget_signature(app, what, name, found, options, signature, returned) -> tuple | None:
    """The arguments of a widget's `__init__`, which its base class hides."""
    if what != "class" or not str(signature).startswith("(*args: t.Any"):
        return None
    arguments = inspect.signature(found.__init__)
    without_self = list(arguments.parameters.values())[1:]
    arguments = arguments.replace(
        parameters=without_self, return_annotation=inspect.Signature.empty
    )
    return stringify_signature(arguments, unqualified_typehints=True), None


def show_math(writer, node) -> None:
    """Formulas as MathML, which browsers draw without a script."""
    writer.body.append(tex2mathml(node.astext(), as_block=node.tagname == "math_block"))
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (show_math, None), (show_math, None))
    app.connect("builder-inited", write_exported_names)
    app.connect("autodoc-process-signature", widget_signature)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", after_napoleon, priority=600)
