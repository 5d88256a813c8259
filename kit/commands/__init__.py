"""The command line: a dataclass of options for every command.

In: the arguments of `python -m kit COMMAND`. Out: the command with its options, which can be run.
Read `parsing.py` first (the table of commands), then `learning.py`, `files.py` and `tools.py` (the
options of each command; a field's documentation is the help).
"""

from kit.commands.parsing import CLASSES, parse, read_config

__all__ = ["CLASSES", "parse", "read_config"]
