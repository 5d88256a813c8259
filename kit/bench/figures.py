"""Writes docs/figures.md, and figures of the README, from the JSON files in `results`.

`figures_template.md` holds the texts of the page, and a TOML block in the place of each table. A
cell of a table is found by a regular expression over the names of a bench's rows. The name of a
file says how it was made: `discover_pandaset.json` was written by `python -m kit bench discover
--data <root of PandaSet> --out <file>`; `discover_street.json` would be the same without `--data`.
A block `ablation` names a stored table of `kit.ablate` and one of its metrics.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit import bench, store
from kit.bench._ablations import ablation, is_stored

RESULTS = Path(__file__).parent / "results"
TEMPLATE = Path(__file__).parent / "figures_template.md"
BLOCK = re.compile(r"(?ms)^```toml\n(.*?)^```\n")
ABLATION = re.compile(r"(?m)^```ablation\n(\w+) (.+)\n```\n")
Reports = Mapping[str, dict]  # content of each JSON file, by its name without the suffix


@dataclass(frozen=True)
class Table:
    """A table of the template.

    Attributes:
        first: heading of the first column.
        rows: pattern by label.
        columns: file, pattern of a row's name, and format by heading; {} in the pattern stands for
            the pattern of the table's row.
        optional: a cell without a row is left empty; otherwise it is an error.
    """

    first: str
    rows: dict[str, str]
    columns: dict[str, list[str]]
    optional: bool = False

    @property
    def files(self) -> list[str]:
        """Files that the cells come from, each once."""
        return list(dict.fromkeys(file for file, _, _ in self.columns.values()))


def write_figures(out: str | Path, readme: str | Path | None = None) -> list[str]:
    """Write the page of figures, and the figures of the README.

    Args:
        out: the Markdown page.
        readme: the README, whose figures are replaced.

    Returns:
        Headings of the tables that were left out, because a file they need is missing.

    Raises:
        ValueError: a file has no row, or several, for a cell of a table.
    """
    reports = {file.stem: store.read_json(file) for file in sorted(RESULTS.glob("*.json"))}
    page, left_out = figures_page(TEMPLATE.read_text(), reports)
    store.write_text(out, page)
    if readme is not None:
        text = readme_with_figures(Path(readme).read_text(), reports["distill_street"])
        store.write_text(readme, text)
    return left_out


def readme_with_figures(readme: str, report: Mapping) -> str:
    """The README with the mIoU of `bench distill` in the last lines of the demo that it shows.

    Raises:
        ValueError: it has no such line, or several.
    """
    values = {row["name"]: row["value"] for row in report["rows"]}
    for name in ("position", "random", "distilled", "teacher"):
        line = rf"(?m)^({name} +)\d+\.\d(?= )"
        if len(re.findall(line, readme)) != 1:
            raise ValueError(f"README: expected one line that begins with {name!r} and its mIoU")
        readme = re.sub(line, rf"\g<1>{values[f'linear probe, {name}']:.1f}", readme)
    return readme


def figures_page(template: str, reports: Reports) -> tuple[str, list[str]]:
    """Return the page, and the headings of the tables that were left out.

    The heading of a section whose tables were all left out is left out, too.
    """
    kept, left_out = [], []
    for part in re.split(r"(?m)^(?=#{2,3} )", template):  # a heading and what is below it
        tables = [Table(**tomllib.loads(block)) for block in BLOCK.findall(part)]
        ablations = [name for name, _ in ABLATION.findall(part)]
        files_there = all(file in reports for table in tables for file in table.files)
        if files_there and all(map(is_stored, ablations)):
            made = iter([render(table, reports) for table in tables])
            part = ABLATION.sub(lambda found: ablation(*found.groups()), part)
            part = BLOCK.sub(lambda _, made=made: next(made), part)
            kept.append((bool(tables or ablations), part))
        else:
            left_out.append(part.splitlines()[0].lstrip("# "))
    page = ""
    for (has_table, part), (_, following) in zip(kept, [*kept[1:], (False, "## ")], strict=True):
        if has_table or not (part.startswith("## ") and following.startswith("## ")):
            page += part
    return page.rstrip() + "\n", left_out


def render(table: Table, reports: Reports) -> str:
    """A table as Markdown, and below it how each of its files was made.

    Raises:
        ValueError: no row, or several, for a cell; or none for a whole row of the table.
    """
    lines = [[table.first, *table.columns], ["---", *["--:"] * len(table.columns)]]
    for label, key in table.rows.items():
        cells = [_cell(column, key, reports, table.optional) for column in table.columns.values()]
        if not any(cells):
            raise ValueError(f"{', '.join(table.files)}: no rows like {key!r} for {label!r}")
        lines.append([label, *cells])
    made = "\n".join(f"- {how_made(file, reports[file])}" for file in table.files)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{made}\n"


def _cell(column: list[str], key: str, reports: Reports, optional: bool) -> str:
    file, pattern, form = column
    pattern = pattern.replace("{}", key)
    rows = [row for row in reports[file]["rows"] if re.fullmatch(pattern, row["name"])]
    if not rows and optional:
        return ""
    if len(rows) != 1:
        found = ", ".join(repr(row["name"]) for row in rows) or "none"
        raise ValueError(f"{file}.json: expected one row like {pattern!r}, found {found}")
    return "-" if rows[0]["value"] is None else FORMS[form](rows[0])


def _rounded(row: Mapping) -> str:
    """Format a value: two significant digits, whole numbers from 100 on."""
    value = row["value"]
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.2g}".rstrip(".")


def _with_unit(row: Mapping) -> str:
    return f"{_rounded(row)} {row['unit']}".strip()


def _target(row: Mapping) -> str:
    """The bound that the bench checks; "" without one."""
    bound = row.get("target", row.get("reach"))
    return f"{bound.replace('>=', '≥').replace('<=', '≤')} {row['unit']}".strip() if bound else ""


FORMS: dict[str, Callable[[Mapping], str]] = {
    "0.1": lambda row: f"{row['value']:.1f}",
    "0.01": lambda row: f"{row['value']:.2f}",
    "rounded": _rounded,
    "with unit": _with_unit,
    "target": _target,
}


def how_made(file: str, report: Mapping) -> str:
    """Command, machine, commit and date of a bench's file, in one line."""
    machine, commit = report["machine"], report["commit"] or "not recorded"
    mark = " with uncommitted changes" if commit.endswith("-dirty") else ""
    return (
        f"`{_command(file)}` on {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']:.0f} GB, GPU: {machine['gpu'] or 'none'}; "
        f"commit {commit.removesuffix('-dirty')[:10]}{mark}; {report.get('date', 'no date')}"
    )


def _command(file: str) -> str:
    """The command that wrote a file, from the file's name."""
    fitting = [name for name in bench.names() if file.startswith(f"{name}_")]
    if not fitting:
        listed = ", ".join(bench.names())
        raise ValueError(f"{file}.json: expected the name of a bench at its start: {listed}")
    name = max(fitting, key=len)
    data = file.removeprefix(f"{name}_")
    return f"python -m kit bench {name}" + ("" if data == "street" else f" --data {data.upper()}")
