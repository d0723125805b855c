"""The command line: `python -m eos COMMAND`."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from eos.errors import ending_in_one_line

# What each does, and the extra that has the libraries it needs. Its module in eos.commands, which is imported
# when the command is called, has `add_arguments` and `run`.
COMMANDS = {
    "predict": ("classify pictures with an exported classifier, to the screen or to a CSV file", "predict"),
    "export": ("write the classifier of a cell of the grid as one folder, to take home", "pipeline"),
    "train-grid": ("train the networks of the axes, several side by side on one GPU", "pipeline"),
    "embed": ("turn pictures into a file of embeddings, by a pretrained backbone", "pipeline"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End as every bad input does."""
        sys.exit(f"error: {message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; `sys.argv` has them by default."""
    # Also what a command imports: who stops it there is told so in one line.
    with ending_in_one_line(interrupted="nothing was written", lower="give less at a time"):
        _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> None:
    parser = _Parser(
        prog="python -m eos", description="Imbalanced images or embeddings in, a classifier out."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module = None
    for name, (told, _) in COMMANDS.items():
        command = commands.add_parser(name, help=told)
        if name == next(iter(arguments), None):
            module = import_module(f"eos.commands.{name.replace('-', '_')}")
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
    parsed = parser.parse_args(arguments)
    assert module is not None  # the parser has refused every other name
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path that is no UTF-8 is shown with its bytes as \\x...
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        module.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads the lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ModuleNotFoundError as error:
        extra = COMMANDS[parsed.command][1]
        sys.exit(f"error: no library {error.name!r}; pip install 'eos-imbalanced[{extra}]'")


if __name__ == "__main__":
    main()
