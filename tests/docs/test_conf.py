"""Which pages of the site have a list of their sections beside the text."""

import runpy
import typing
from pathlib import Path

import pytest
from sphinx.util.matching import patmatch

CONF = Path(__file__).parents[2] / "docs/conf.py"


@pytest.fixture
def items(monkeypatch) -> dict[str, list[str]]:
    """By pattern of pages, what stands to the right of the text."""
    monkeypatch.setattr(typing, "GENERATING_DOCUMENTATION", "", raising=False)  # conf.py sets it
    return runpy.run_path(str(CONF))["html_theme_options"]["secondary_sidebar_items"]


def test_notebooks_have_the_whole_width_and_other_pages_their_sections(items):
    pages = ("index", "scale", "api/index", "api/generated/kit.ask.query", "_modules/kit/x")
    for page, expected in {"notebooks/05_x": [], **dict.fromkeys(pages, ["page-toc"])}.items():
        # A page that matches two patterns with wildcards is an error of the build.
        (found,) = [shown for pattern, shown in items.items() if patmatch(page, pattern)]
        assert found == expected
