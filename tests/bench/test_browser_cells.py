"""Running a cell of JupyterLab: the keys are pressed again if it is dropped, not while it runs."""

from unittest.mock import MagicMock

import pytest

from kit.bench import _browser


def page_whose_prompt_shows(*texts):
    page = MagicMock()
    cell = page.locator.return_value.nth.return_value
    cell.locator.return_value.inner_text.side_effect = texts
    return page


@pytest.mark.parametrize(
    "texts, presses",
    [
        (("[ ]:", "[ ]:", "[*]:", "[1]:"), 1),
        (("[ ]:", "[ ]:", "[*]:", "[ ]:", "[*]:", "[1]:"), 2),  # dropped once
        (
            ("[3]:", "[3]:", "[3]:", "[*]:", "[*]:", "[ ]:", "[12]:"),
            3,
        ),  # ignored, dropped
    ],
)
def test_the_keys_are_pressed_until_the_prompt_has_a_new_number(texts, presses):
    page = page_whose_prompt_shows(*texts)
    _browser.run_cell(page, 0)
    assert page.keyboard.press.call_count == presses


def test_a_cell_that_does_not_end_is_named():
    page = MagicMock()
    with pytest.raises(TimeoutError, match="cell 4 did not run"):
        _browser.run_cell(page, 4, timeout=0)
