"""Progress bars in a notebook and elsewhere."""

from kit.store import progress as module


def test_a_bar_in_a_notebook_shows_one_line_and_vanishes(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, raw):
            assert raw
            shown.append(data["text/plain"])

    monkeypatch.setattr(module, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: Handle())
    with module.progress_bar(total=4, desc="steps", unit="step", mininterval=0) as bar:
        for _ in range(4):
            bar.update()
    assert any("steps" in line and "4/4" in line for line in shown)
    assert shown[-1] == "" and not any("\r" in line or "\n" in line for line in shown)


def test_elsewhere_it_is_written_to_stderr(capsys):
    assert list(module.progress_bar([1, 2, 3], desc="counting")) == [1, 2, 3]
    assert "counting: 100%" in capsys.readouterr().err


def test_a_disabled_bar_shows_nothing(monkeypatch):
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    assert list(module.progress_bar([1, 2], disable=True)) == [1, 2]
