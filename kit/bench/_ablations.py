"""Tables of ablations in docs/figures.md, from the tables that come with `kit.ablate`."""

from collections.abc import Sequence

from kit.ablate.table import TABLES, AblationTable, Comparison
from kit.show.figures.ablation import title_of


def is_stored(name: str) -> bool:
    """Whether a table of this name comes with the kit."""
    return (TABLES / f"{name}.jsonl").exists()


def ablation(name: str, metric: str = "miou") -> str:
    """A stored table as Markdown: the comparison, what helped by how much, and how it was made.

    Args:
        name: of the table.
        metric: a column in percent.
    """
    table = AblationTable.stored(name)
    compared = table.compare(metric)
    axes = ", ".join(axis.split(".")[-1] for axis in table.axes)
    head = [axes, f"{title_of(metric)} in %", "difference to the base", "verdict", "seeds"]
    lines = [head, ["---", "--:", "--:", "---", "--:"], *map(_line, compared)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    made = table.made
    machine = made["machine"]
    how = (
        f"- `{made['command']}` on {machine['cores']} cores of {machine['cpu']}; "
        f"commit {made['commit'][:10]}; {made['date']}"
    )
    text = " ".join([what_helped(compared), *table.limit_of_verdicts(metric)])
    return f"{rows}\n\n{text}\n\n{how}\n"


def _line(each: Comparison) -> list[str]:
    mean = f"{100 * each.mean:.1f}"
    if each.deviation is not None:
        mean += f" ± {100 * each.deviation:.1f}"
    return [each.name, mean, _points(each), each.verdict, str(each.count)]


def _points(each: Comparison) -> str:
    """The mean difference and its standard error, in points of the metric."""
    if each.difference is None:
        return ""
    error = "" if each.error is None else f" ± {100 * each.error:.1f}"
    return f"{100 * each.difference:+.1f}{error}"


def what_helped(compared: Sequence[Comparison]) -> str:
    """Sentences: which changes are better or worse than the base, by how much, with how many seeds.

    A change counts only if the 95 % confidence interval of its difference leaves out zero.
    """
    sentences = []
    for verdict in ("better", "worse"):
        found = [
            f"{each.name} ({_points(each)} points, {each.count} seeds)"
            for each in compared
            if each.verdict == verdict
        ]
        sentences.append(f"{verdict.capitalize()} than the base: {', '.join(found) or 'none'}.")
    rest = [each.name for each in compared if each.verdict in ("not decided", "one seed")]
    if rest:
        sentences.append(f"Not decided with so many seeds: {', '.join(rest)}.")
    return " ".join(sentences)
