"""Mend dvc.lock and DVC's cache, where something has damaged them.

The committed dvc.lock is taken where the one in the working tree is missing, empty or cut off.
DVC rewrites the file in place after every stage. Whoever stops it at that moment has a part of the file, with
which DVC ends at once, or forgets what was made. `make repro` runs this first; what the committed file does
not know then comes back from DVC's run cache. So do entries that were taken out on purpose, until that is
committed.

A disk may damage entries of the run cache. DVC drops most of these by itself; at the others it ends, at every
run, with `'outs'` or `unable to read`, and at a folder without an entry, with `join() argument must be str`.
They are removed, and their stages run again. So are damaged lists of a folder's files: DVC ends with
`'relpath'` at one, or leaves out a file, where it has to bring the folder back. And so is the file in which
DVC notes who reads and writes what, where DVC was stopped while it wrote that: it ends with `Unable to read
RWLock-file`.
"""

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

LOCK, PIPELINE = Path("dvc.lock"), Path("dvc.yaml")
# Where `dvc config cache.dir` says nothing else.
USERS = Path(".dvc/tmp/rwlock")
RUNS, OBJECTS = Path(".dvc/cache/runs"), Path(".dvc/cache/files/md5")


def main() -> None:
    """Mend what needs it, and say so."""
    if cut_off(USERS):
        time.sleep(0.5)  # another DVC may be writing it
        if cut_off(USERS):
            USERS.unlink()
            print(f"{USERS} is damaged: removed", flush=True)
    for path in unreadable(RUNS):
        path.unlink()
        print(f"{path} is damaged: removed, its stage runs again", flush=True)
    for folder in RUNS.glob("*/*"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    for path in damaged_lists(OBJECTS):
        path.unlink()
        print(f"{path} is damaged: removed, its stage runs again if its output is missing", flush=True)
    show = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
    if show.returncode != 0:
        return  # no commit, or none with a lock: there is nothing to take, and nothing that could be missed
    reason = damage(LOCK.read_bytes() if LOCK.exists() else None, show.stdout)
    if reason:
        temporary = LOCK.with_name(f".{LOCK.name}.tmp")
        temporary.write_bytes(show.stdout)
        temporary.replace(LOCK)
        print(f"{LOCK} {reason}: the committed one was taken", flush=True)


def cut_off(path: Path) -> bool:
    """Say whether a file is there and is no whole JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def unreadable(runs: Path) -> list[Path]:
    """Return the entries of a run cache at which DVC would end: those without outputs, or no text."""
    found = []
    for path in sorted(runs.glob("*/*/*")):
        try:
            whole = "\nouts:\n" in path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            whole = False
        if not whole:
            found.append(path)
    return found


def damaged_lists(objects: Path) -> list[Path]:
    """Return the lists of folders whose content is not that of their name."""
    return [
        path
        for path in sorted(objects.glob("*/*.dir"))
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != path.parent.name + path.stem
    ]


def damage(content: bytes | None, committed: bytes) -> str | None:
    """Return what is wrong with the lock file, or None: also of what DVC or git has to tell of."""
    if content is None:
        return "is missing"
    if not content.strip():
        return "is empty"
    defined = stages(PIPELINE.read_bytes())
    if not defined or b"<<<<<<< " in content:  # a damaged dvc.yaml, or a merge
        return None
    known, expected = stages(content), stages(committed)
    last = next(reversed(known), "")
    whole = complete(known.get(last), defined.get(last.partition("@")[0])) or (
        last in known and known[last] == expected.get(last)
    )
    if not content.endswith(b"\n") or not whole:
        return "is cut off"
    lost = [name for name in expected if name.partition("@")[0] in defined and name not in known]
    return f"lacks {lost[0]} and {len(lost) - 1} more stages" if lost else None


def stages(content: bytes) -> dict[str, Any]:
    """Return the entries by stage name; none where the file cannot be read."""
    try:
        found = yaml.load(content, Loader=yaml.CSafeLoader)["stages"]
    except (yaml.YAMLError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def complete(entry: Any, definition: Any) -> bool:
    """Say whether an entry has all outputs of its definition, if there is one, and the last to its end."""
    outs = entry.get("outs") if isinstance(entry, dict) else None
    if not outs or (definition and len(outs) != len(definition.get("outs", ()))):
        return False
    described = outs[-1] if isinstance(outs[-1], dict) else {}
    return ("nfiles" if str(described.get("md5")).endswith(".dir") else "size") in described


if __name__ == "__main__":
    main()
