"""Running a stage: its arguments, the processor switches, errors and seconds.

A stage script imports NumPy, torch and all that needs them inside its `main`: `run` may have to set the
processor switches first. `eos.config` is imported late, too: who stops a stage while it loads is told so in
one line.
"""

import _thread
import contextlib
import functools
import hashlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, get_args

from eos.errors import InputError, ending_in_one_line, unknown_name
from eos.pipeline.paths import PARAMETERS, seconds_file
from eos.pipeline.processor import hold_to_portable_code

if TYPE_CHECKING:
    from eos.config.schema import Parameters

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 2.0


@functools.cache
def parameters() -> "Parameters":
    """Read and check `params.yaml`, once."""
    from eos.config.loading import load

    return load(PARAMETERS)


def digest(path: Path) -> str:
    """Return a name for what a file holds: seconds are told only of what is still there."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def run(main: Callable[..., Mapping[str, Any] | None], *, embeddings: bool = False) -> None:
    """Call `main` with the command line's arguments, one for each of its parameters.

    A parameter with a default may be left out. With `embeddings` the dataset may be a set of these.
    Stages of a portable data set, and those that serve all data sets, run under the processor switches. Bad
    input ends with one message and exit status 1. The seconds that the work took go to
    `data/seconds/<stage>/<cell>.json`, with what else `main` returns as measured. That is no output that DVC
    knows of: results, and with them dvc.lock, are the same bytes in every clone.

    Ctrl-C and SIGTERM end a stage with one line. One that DVC has started ends where DVC alone was killed,
    too; one that was started by hand goes on without the terminal that it came from.
    """
    stage = Path(sys.argv[0]).stem
    # dvc.yaml gives a cell as ${item}: of that alone DVC quotes the values for the shell. It writes
    # `--dataset digits --cut 0`, in the order of `main`.
    texts = [text for text in sys.argv[1:] if not text.startswith("--")]
    signature = inspect.signature(main).parameters
    needed = [one for one in signature.values() if one.default is one.empty]
    if not len(needed) <= len(texts) <= len(signature):
        places = [name.upper() if one in needed else f"[{name.upper()}]" for name, one in signature.items()]
        sys.exit(f"usage: python stages/{stage}.py {' '.join(places)}".strip())
    start = time.perf_counter()
    with ending_in_one_line(
        interrupted="the same command goes on from here",
        lower=f"lower the sizes in {PARAMETERS} (batch_size, image_size, width)",
    ):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if "DVC_STAGE" in os.environ and os.name == "posix":
            Thread(target=_end_with_dvc, args=(os.environ["DVC_STAGE"],), daemon=True).start()
        from eos.config.cells import is_portable

        arguments = {
            name: _convert(name, parameter.annotation, text, embeddings=embeddings)
            for (name, parameter), text in zip(signature.items(), texts, strict=False)
        }
        dataset = arguments.get("dataset")
        if dataset is None or is_portable(parameters(), str(dataset)):
            hold_to_portable_code()
        measured = main(**arguments)
        write_seconds(stage, "-".join(texts) or "all", time.perf_counter() - start, measured or {})


def _end_with_dvc(stage: str) -> None:
    """Stop this process, as Ctrl-C does, once DVC has died: the next one starts the same stage beside it.

    A parent in another session is none that has started it: that one died before this looked.
    """
    first = _up_to_dvc(stage)
    with contextlib.suppress(OSError):  # it died just now
        while _up_to_dvc(stage) == first and os.getsid(first[-1]) == os.getsid(0):
            time.sleep(SECONDS_BETWEEN_LOOKS)
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(SECONDS_TO_STOP)
    os._exit(1)  # within a long computation of a library, which Python does not interrupt


def _up_to_dvc(stage: str) -> list[int]:
    """Return the processes from the parent up to DVC: some shells stay between, and have DVC's variable, too.

    Where there is no /proc, the parent is as far as it goes.
    """
    found = [os.getppid()]
    with contextlib.suppress(OSError):
        while f"DVC_STAGE={stage}".encode() in Path(f"/proc/{found[-1]}/environ").read_bytes().split(b"\0"):
            state = Path(f"/proc/{found[-1]}/stat").read_text(encoding="utf-8", errors="replace")
            found.append(int(state.rpartition(")")[2].split()[1]))
    return found


def write_seconds(stage: str, cell: str, elapsed: float, measured: Mapping[str, Any]) -> None:
    """Tell how long a stage's work took, with what else it measured, which may be other `seconds`."""
    from eos.storage.files import write_json  # which loads NumPy

    write_json(seconds_file(stage, cell), {"elapsed": elapsed, "seconds": elapsed, **measured})


def _convert(name: str, annotation: Any, text: str, *, embeddings: bool) -> str | int:
    """Return an argument: a whole number, one of a few words, or a name that params.yaml defines."""
    if annotation is int:
        if not text.isdecimal() or len(text) > 10 or int(text) >= 2**32:
            raise InputError(f"{name} {text[:40]!r}: must be a whole number from 0 to {2**32 - 1}")
        return int(text)
    if words := get_args(annotation):
        known, place = words, "command line"
    else:
        tables: tuple[str, ...] = (f"{name}s",)
        if name == "sampler":
            tables = "pixel_samplers", "generators"
        elif name == "dataset" and embeddings:
            tables = "datasets", "embeddings"
        known = tuple(key for table in tables for key in getattr(parameters(), table))
        place = f"{PARAMETERS}: {' or '.join(tables)}"
    if text not in known:
        raise unknown_name(text, known, what=name.replace("_", " "), place=place)
    return text
