"""docs/figures.md, which a command writes from what the benches measured."""

from pathlib import Path

import pytest

from kit.bench import figures
from kit.store import files as store

ROOT = Path(__file__).parents[2]
TEMPLATE = """# Figures

## Speed

Text.

### Steps

```toml
first = "measured"
[rows]
"one step" = "step"
"start to end" = "demo, .*"
[columns]
"street" = ["distill_street", "{}", "with unit"]
"target" = ["distill_street", "{}", "target"]
```

After.

## Memory

### Peak

```toml
first = "measured"
[rows]
"peak" = "peak"
[columns]
"street" = ["students_street", "{}", "0.1"]
```
"""


def row(name: str, value: float | None, unit: str = "", target: str | None = None) -> dict:
    return {"name": name, "value": value, "unit": unit, "target": target}


@pytest.fixture
def reports() -> dict:
    machine = {"cores": 2, "cpu": "a processor", "gpu": None, "memory_gb": 25.3}
    made = {"machine": machine, "commit": "0123456789abcdef-dirty", "date": "2026-01-02"}
    rows = [row("step", 0.2345, "s"), row("demo, start to end", 263.4, "s", "<= 300")]
    return {"distill_street": {"rows": rows, **made}}


def test_the_page_in_the_repository_is_what_the_command_writes(tmp_path):
    figures.write_figures(tmp_path / "figures.md")
    written = (tmp_path / "figures.md").read_text()
    again = "run python -m kit figures"
    assert (ROOT / "docs/figures.md").read_text() == written, again


def test_the_readme_has_the_figures_of_the_bench():
    readme = (ROOT / "README.md").read_text()
    report = store.read_json(figures.RESULTS / "distill_street.json")
    assert figures.readme_with_figures(readme, report) == readme, "run python -m kit figures"
    (distilled,) = (r for r in report["rows"] if r["name"] == "linear probe, distilled")
    distilled["value"] = 12.34
    assert "\ndistilled   12.3  " in figures.readme_with_figures(readme, report)
    with pytest.raises(ValueError, match="expected one line that begins with 'teacher'"):
        figures.readme_with_figures(readme.replace("\nteacher ", "\n"), report)


def test_cells_come_from_the_rows_that_fit(reports):
    page, left_out = figures.figures_page(TEMPLATE, reports)
    assert "| measured | street | target |\n| --- | --: | --: |\n" in page
    assert "| one step | 0.23 s |  |\n| start to end | 263 s | ≤ 300 s |\n" in page
    assert left_out == ["Peak"]


def test_a_table_says_how_it_was_made(reports):
    page, _ = figures.figures_page(TEMPLATE, reports)
    (line,) = [line for line in page.splitlines() if line.startswith("- ")]
    assert line == (
        "- `python -m kit bench distill` on 2 cores of a processor, 25 GB, GPU: none; commit "
        "0123456789 with uncommitted changes; 2026-01-02"
    )
    assert "--data" in figures.how_made("discover_pandaset", reports["distill_street"])


def test_texts_stay_and_a_section_without_figures_is_left_out(reports):
    page, _ = figures.figures_page(TEMPLATE, reports)
    assert page.startswith("# Figures\n\n## Speed\n\nText.\n\n### Steps\n\n|")
    assert page.endswith("\nAfter.\n") and "Memory" not in page


def test_the_longest_bench_that_fits_is_the_command(reports):
    how = figures.how_made("distill_long_street", reports["distill_street"])
    assert how.startswith("`python -m kit bench distill_long` on")
    with pytest.raises(ValueError, match="speed_street.json: expected the name of a bench"):
        figures.how_made("speed_street", reports["distill_street"])


def test_a_cell_without_its_row_is_an_error(reports):
    with pytest.raises(ValueError, match="expected one row like 'demo, .*', found none"):
        reports["distill_street"]["rows"].pop()
        figures.figures_page(TEMPLATE, reports)


def test_a_cell_with_two_rows_is_an_error(reports):
    reports["distill_street"]["rows"].append(row("demo, again", 1.0))
    with pytest.raises(ValueError, match="found 'demo, start to end', 'demo, again'"):
        figures.figures_page(TEMPLATE, reports)


def test_optional_cells_may_be_empty_but_no_whole_row(reports):
    table = figures.Table(
        "kind",
        {"a": "a", "b": "b"},
        {"x": ["distill_street", "{}, x", "0.1"], "y": ["distill_street", "{}, y", "0.01"]},
        optional=True,
    )
    reports["distill_street"]["rows"] = [row("a, x", 1.25), row("b, y", None)]
    assert "| a | 1.2 |  |\n| b |  | - |\n" in figures.render(table, reports)
    reports["distill_street"]["rows"].pop()
    with pytest.raises(ValueError, match="no rows like 'b' for 'b'"):
        figures.render(table, reports)


def test_figures_of_before_are_read_too():
    old = {"name": "a", "value": 12000.4, "unit": "MB", "reach": ">= 4000"}
    assert figures.FORMS["target"](old) == "≥ 4000 MB"
    assert figures.FORMS["with unit"](old) == "12,000 MB"
    assert figures.FORMS["rounded"]({"value": 8.34e-7}) == "8.3e-07"


def test_results_have_what_the_page_needs():
    for file in figures.RESULTS.glob("*.json"):
        report = store.read_json(file)
        assert {"rows", "machine", "commit"} <= set(report), file
        assert figures.how_made(file.stem, report)


def test_a_stored_table_of_an_ablation_is_written_with_what_helped():
    template = "# Figures\n\n## Ablations\n\n### Losses\n\n```ablation\nteacher_street miou\n```\n"
    page, left_out = figures.figures_page(template, {})
    assert left_out == [] and "`python -m kit ablate teacher_street.json` on 2 cores" in page
    assert "| random | 19.6 ± 2.6 | -14.1 ± 0.1 | worse | 2 |" in page
    assert "Better than the base: none. Worse than the base: random (-14.1 ± 0.1 points" in page
    page, left_out = figures.figures_page(template.replace("teacher_street", "losses_moon"), {})
    assert left_out == ["Losses"] and "Ablations" not in page
