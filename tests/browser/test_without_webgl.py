"""Without WebGL2 the page shows a message and the points, which cannot be clicked."""

import explorer_scene as scene

from kit.show.explorer.export import fallback_page


def test_a_saved_page_shows_a_message_and_the_points_from_above(browser_without_webgl, tmp_path):
    page = browser_without_webgl.new_page()
    page.goto(scene.explorer().save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("canvas.kx-flat", timeout=20_000)
    assert "no WebGL2" in page.locator(".kx-message").inner_text()
    drawn = page.locator("canvas.kx-flat").evaluate(
        "(node) => node.getContext('2d').getImageData(0, 0, node.width, node.height).data"
        ".filter((value, i) => i % 4 === 3 && value).length"
    )
    assert drawn > 900
    page.close()


def test_in_a_notebook_python_sends_a_plotly_figure_of_ten_thousand_points():
    page = fallback_page(scene.explorer(), max_points=100)
    assert "Plotly.newPlot" in page and "100 of 900 points" in page
    heard = []
    explorer = scene.explorer()
    explorer.send = lambda message, buffers=None: heard.append(message)
    explorer._receive(explorer, {"type": "no webgl2"}, [])
    assert heard[0]["type"] == "fallback" and "Plotly.newPlot" in heard[0]["page"]


def test_the_figure_is_put_into_a_frame_of_its_own(browser_without_webgl, tmp_path):
    """The page with the answer of a kernel instead of its own fallback."""
    path = scene.explorer().save(tmp_path / "page.html")
    source = path.read_text(encoding="utf8")
    start = source.index('<meta http-equiv="Content-Security-Policy"')
    source = source[:start] + source[source.index(">", start) + 1 :]  # the script is changed below
    answer = (
        "listeners.forEach((call) => call({ type: 'fallback', page: '<p id=here>a figure</p>' }));"
    )
    source = source.replace("standalone: true,", "standalone: false,")
    question = 'const payload = message.type === "need"'
    source = source.replace(question, f"{answer}\n{question}")
    path.write_text(source, encoding="utf8")
    page = browser_without_webgl.new_page()
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe.kx-frame")
    assert frame.locator("#here").inner_text(timeout=20_000) == "a figure"
    assert page.locator("iframe.kx-frame").get_attribute("sandbox") == "allow-scripts"
    page.close()
