"""What docs/transfer.md quotes as measured is in the tables of docs/figures.md that it links to."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ROWS = re.findall(
    r"(?m)^\| (.+?) \| ([\d.]+)[^|]*\| \[[^]]+\]\(figures\.md#([\w-]+)\) \|$",
    (DOCS / "transfer.md").read_text(),
)


def sections() -> dict[str, str]:
    """The sections of figures.md by the anchor that MyST gives to their headings."""
    parts = re.split(r"(?m)^#{2,3} (.+)\n", (DOCS / "figures.md").read_text())
    titles = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in parts[1::2])
    return dict(zip(titles, parts[2::2], strict=True))


def test_the_aims_that_are_missed_have_rows():
    assert len(ROWS) >= 9


@pytest.mark.parametrize(("aim", "measured", "anchor"), ROWS, ids=lambda text: text[:40])
def test_a_measured_value_is_in_the_table_that_is_linked(aim, measured, anchor):
    cells = re.findall(r"\| ([\d.]+) (?=\|)", sections()[anchor])
    assert measured in cells, aim


def test_every_link_to_a_section_of_the_figures_leads_to_one():
    for page in DOCS.glob("*.md"):
        for anchor in re.findall(r"figures\.md#([\w-]+)", page.read_text()):
            assert anchor in sections(), f"{page.name}: {anchor}"
