"""dvc, with stages that start at once: `python stages/warm.py repro` in place of `dvc repro`.

A stage spends up to three seconds on importing torch or scikit-learn before it does anything; on the digits
that is as much as its work. Here the libraries are imported once, in a process that does nothing else, and
each stage is a fork of it; the project's own code is imported by the stage, as it is then. All else is dvc's,
and the results are the same bytes. Where a process cannot be forked this is plain dvc.
"""

import json
import os
import runpy
import shlex
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

LIBRARIES = (
    "dvclive",
    "imblearn.over_sampling",
    "matplotlib.backends.backend_svg",
    "pandas",
    "pydantic",
    "safetensors.numpy",
    "scipy.stats",
    "sklearn.decomposition",
    "sklearn.manifold",
    "sklearn.svm",
    "torch",
)


class Starter:
    """The process that has the libraries, seen from dvc's: it runs one stage after another."""

    def __init__(self) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        sys.stdout.flush()
        if os.fork() == 0:
            os.close(self._requests)
            os.close(self._answers)
            serve(requests, answers)
        os.close(requests)
        os.close(answers)

    def run(self, command: list[str], folder: str, environment: dict[str, str]) -> int:
        """Run a Python script with its arguments, and return its exit status; negative for a signal."""
        request = json.dumps([command, folder, environment]).encode()
        try:
            os.write(self._requests, len(request).to_bytes(8) + request)
            answer = os.read(self._answers, 8)  # ends when the process and the stage it started have ended
        except BrokenPipeError:
            answer = b""
        if not answer:
            sys.exit("error: the process that starts the stages was stopped; run the command again")
        return int.from_bytes(answer, signed=True)


def serve(requests: int, answers: int) -> NoReturn:
    """Import the libraries; then fork for every request, and answer with how the fork ended."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for library in LIBRARIES:
        import_module(library)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from now on the stage ends, and dvc with it
    while size := read(requests, 8):
        command, folder, environment = json.loads(read(requests, int.from_bytes(size)))
        child = os.fork()
        if child == 0:
            os.close(requests)
            signal.signal(signal.SIGINT, interrupt)
            perform(command, folder, environment)
        _, status = os.waitpid(child, 0)
        os.write(answers, os.waitstatus_to_exitcode(status).to_bytes(8, signed=True))
    os._exit(0)  # dvc has ended


def read(file: int, size: int) -> bytes:
    """Return so many bytes; fewer at the end of the file."""
    parts = []
    while size and (part := os.read(file, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def perform(command: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """Be the process of `python command...`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[0] = os.path.dirname(os.path.abspath(command[0]))
    status = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> int:
    """Run dvc with the command line's arguments."""
    from dvc.cli import main as dvc
    from dvc.stage import run
    from dvc.stage.exceptions import StageCmdFailedError

    if not hasattr(os, "fork") or sys.platform == "darwin" or not hasattr(run, "_run"):
        return dvc(sys.argv[1:])
    starter, plain = Starter(), run._run

    def start(executable: str | None, command: str, **settings: Any) -> None:
        words = shlex.split(command)
        if words[0] != "python" or not words[1].startswith("stages/"):
            plain(executable, command, **settings)
            return
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as dvc does while a stage runs
        try:
            status = starter.run(words[1:], settings["cwd"], settings["env"])
        finally:
            signal.signal(signal.SIGINT, interrupted)
        if status:
            raise StageCmdFailedError(command, status)

    run._run = start
    return dvc(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
