"""Text for plotly, which reads a part of HTML, templates and TeX in its texts."""

import re

# An entity would be decoded, "<" may begin a tag, "%{" is a value in hover texts, and "$" begins a
# formula on pages with MathJax. Other "&" and "%" mean themselves.
_SPECIAL = re.compile(r"&(?=#?\w+;)|<|%(?=\{)|\$")
_ESCAPED = {"&": "&amp;", "<": "&lt;", "%": "&#37;", "$": "&#36;"}


def as_text(text: str) -> str:
    """Escape a text so that plotly shows it as it is, whatever it contains.

    Every name or title from outside goes through this function on its way into a figure.
    """
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], text)
