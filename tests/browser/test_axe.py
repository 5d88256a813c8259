"""axe-core, a checker of accessibility, finds nothing in a saved page, in any mode and theme."""

import importlib.util
from pathlib import Path

import explorer_scene as scene
import pytest

PACKAGE = importlib.util.find_spec("axe_playwright_python")  # only its copy of axe-core is used


@pytest.mark.skipif(PACKAGE is None, reason="needs axe-core: pip install axe-playwright-python")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, tmp_path, scheme):
    explorer = scene.explorer(2)
    path = explorer.save(tmp_path / "page.html", keyframes=[0, 1])
    # The page's own rules forbid other scripts than its own.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=20_000)
    page.add_script_tag(path=Path(PACKAGE.origin).parent / "axe.min.js")
    found = {}
    for mode in explorer.modes:
        page.evaluate("(mode) => document.querySelector('.kx').explorer.change({mode})", mode)
        page.wait_for_function("() => !document.querySelector('.kx').explorer.waiting")
        result = page.evaluate("() => axe.run(document)")
        assert result["passes"]  # something was checked
        found[mode] = [(rule["id"], rule["nodes"][0]["html"]) for rule in result["violations"]]
    context.close()
    assert not any(found.values()), found
