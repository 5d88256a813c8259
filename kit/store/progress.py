"""Progress bars that leave nothing behind in a notebook, so that its pages show no old bar."""

import io
import sys

import tqdm as bars

WIDTH = 90  # characters


class _Line(io.TextIOBase):
    """A file whose last line a notebook's cell shows."""

    def __init__(self):
        from IPython.display import display  # is there where a notebook runs

        self.shown = ""
        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> int:
        line = text.replace("\r", "\n").strip("\n").split("\n")[-1].rstrip()
        if line != self.shown:
            self.shown = line
            self.handle.update({"text/plain": line}, raw=True)
        return len(text)


def progress_bar(*arguments, **options) -> bars.tqdm:
    """A progress bar of tqdm, with its arguments; in a notebook it vanishes when it is complete."""
    if options.get("disable") or not in_notebook():
        return bars.tqdm(*arguments, **options)
    return bars.tqdm(*arguments, file=_Line(), leave=False, ncols=WIDTH, **options)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this code."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None
