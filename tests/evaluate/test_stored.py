import pytest

from kit.evaluate import stored
from kit.evaluate.stored import stored_figures
from kit.store import files


def test_figures_are_found_by_quantity_and_subject(tmp_path, monkeypatch):
    rows = [
        {"name": "wi 6 x 64: parameters", "value": 0.5},
        {"name": "wi 6 x 64: random", "value": 12.0},
        {"name": "minkunet-18: random", "value": 3.0},
    ]
    files.write_json(tmp_path / "capacity_toy.json", {"rows": rows})
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    assert stored_figures("capacity_toy") == {
        "parameters": {"wi 6 x 64": 0.5},
        "random": {"wi 6 x 64": 12.0, "minkunet-18": 3.0},
    }
    with pytest.raises(ValueError, match="no figures 'capacity_moon'.*capacity_toy"):
        stored_figures("capacity_moon")


@pytest.mark.parametrize("name", ["capacity_street", "capacity_pandaset"])
def test_the_figures_of_notebook_09_come_with_the_kit(name):
    figures = stored_figures(name)
    students = set(figures["parameters"])
    assert {"wi 6 x 64", "minkunet-18"} <= students
    assert all(set(figures[each]) == students for each in ("distilling", "distilled", "random"))
