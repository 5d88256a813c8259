"""The kit from a terminal: `python -m kit COMMAND --help`."""

import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": "Distil, probe and draw: the main job.",
    "distill": "Only distil; also under torchrun, on several GPUs.",
    "features": "Write a student's features of all points of a data set.",
    "street": "Write a simulated street as a data set in the nuScenes schema.",
    "pretrain": "Make the student that comes with the kit.",
    "import-checkpoint": "Convert a published student to a file of the kit.",
    "bench": "Measure; print a table and write JSON.",
    "figures": "Write docs/figures.md from what the benches measured.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    An error that a user can mend is printed in one line; --trace shows where it came from.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    trace = "--trace" in arguments
    arguments = [each for each in arguments if each != "--trace"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    name, *options = arguments
    if name not in COMMANDS:
        print(f"error: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    from kit.commands import parse  # loads torch: seconds

    try:
        parse(name, options, COMMANDS[name]).run()
    except KeyboardInterrupt as stop:
        print(f"\n{stop or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if trace:
            raise
        print(f"error: {error}\n(--trace shows where)", file=sys.stderr)
        return 1
    return 0


def _overview() -> str:
    listed = "\n".join(f"  {name:18} {words}" for name, words in COMMANDS.items())
    return (
        f"usage: python -m kit COMMAND [OPTIONS] [--trace]\n\n{listed}\n\n"
        "python -m kit COMMAND --help lists every option."
    )


if __name__ == "__main__":
    sys.exit(main())
