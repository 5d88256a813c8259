"""The command line: a dataclass of options for every command.

In: the arguments of `python -m kit COMMAND`. Out: the command with its options, which can be run.
Read `parsing.py` first (the table of commands). Each field of a setting is an option, and its
documentation is the option's help. `learning.py`, `files.py` and `tools.py` hold the options;
`pretrain.py` makes the student that comes with the kit.
"""

from kit.commands.parsing import CLASSES, parse, read_config

__all__ = ["CLASSES", "parse", "read_config"]
