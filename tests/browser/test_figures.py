"""Figures of plotly in Chromium: names in title, axes, legend, labels and hovering are text."""

import explorer_scene as scene
import pytest

from kit import show

LINK = '<a href="https://example.org">link</a>'
NAMES = (LINK, "<b>bold</b>", scene.HOSTILE, "&lt;i&gt;", "$x$ %{y}", "constructor", "__proto__")


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    yield page
    page.close()


def test_names_are_text_everywhere_in_a_chart(page, tmp_path):
    series = {name: {"a": 1.0 + i, LINK: 2.0 + i} for i, name in enumerate(NAMES)}
    figure = show.curves(series, title=LINK, x_title=LINK, y_title="<b>y</b>")
    figure.write_html(tmp_path / "figure.html", include_plotlyjs=True)
    page.goto((tmp_path / "figure.html").as_uri())
    page.wait_for_selector(".legendtext")
    assert page.locator(".legendtext").all_text_contents() == list(NAMES)
    assert page.locator(".gtitle").first.text_content() == LINK
    assert page.locator(".xtitle").text_content() == LINK
    assert page.locator(".ytitle").text_content() == "<b>y</b>"
    assert LINK in page.locator(".xtick").all_text_contents()
    hovered = "[{curveNumber: 2, pointNumber: 1}]"
    page.evaluate(f"Plotly.Fx.hover(document.querySelector('.js-plotly-plot'), {hovered})")
    page.wait_for_selector(".hovertext")
    assert LINK in page.locator(".hovertext").first.text_content()
    assert page.locator("svg a, svg image[href^=x], .legendtext tspan[style]").count() == 0
    assert page.title() != "hacked"
