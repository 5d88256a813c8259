"""Figures of benches that come with the kit."""

from pathlib import Path

from kit.store import files

FOLDER = Path(__file__).parents[1] / "bench" / "results"


def stored_figures(name: str) -> dict[str, dict[str, float]]:
    """Read the figures that a bench measured earlier.

    Args:
        name: of the bench and of its data, for example "capacity_street".

    Returns:
        Values by quantity, then by what was measured. A row "wi 6 x 64: random" of the file is
        found at `["random"]["wi 6 x 64"]`.

    Raises:
        ValueError: nothing is stored under this name; lists what is.
    """
    stored = {file.stem: file for file in FOLDER.glob("*.json")}
    if name not in stored:
        listed = ", ".join(sorted(stored)) or "none"
        raise ValueError(f"no figures {name!r} come with the kit; there are: {listed}")
    table: dict[str, dict[str, float]] = {}
    for row in files.read_json(stored[name])["rows"]:
        subject, _, quantity = row["name"].partition(": ")
        table.setdefault(quantity, {})[subject] = row["value"]
    return table
