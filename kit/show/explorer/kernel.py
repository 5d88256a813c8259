"""What a Jupyter kernel says about the cell that it runs."""

import sys


def request() -> dict | None:
    """The message that asked for the run of this cell; None outside of notebooks."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    return kernel.get_parent("shell") if hasattr(kernel, "get_parent") else {}


def running_cell() -> tuple[str, str] | None:
    """The cell that runs and the number of its run; None outside of notebooks."""
    parent = request() or {}
    cell = parent.get("metadata", {}).get("cellId")
    return (cell, parent.get("header", {}).get("msg_id", "")) if cell else None


def is_unattended() -> bool:
    """Whether a program without a page runs the notebook, as nbconvert or papermill.

    Their requests name no cell and forbid to ask the user for input, as nobody is there.
    """
    parent = request()
    return parent is not None and (
        parent.get("content", {}).get("allow_stdin") is False and running_cell() is None
    )
