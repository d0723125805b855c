"""A repository of this one's files in which commands are run as a person would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from eos.pipeline.processor import CLEARED, SWITCHES

ROOT = Path(__file__).parents[1]


class Clone:
    """A clone in which commands are run as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The stages call `python`: the one that runs the tests.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        plain = {name: value for name, value in os.environ.items() if name not in (*SWITCHES, *CLEARED)}
        self.environment = plain | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *command: str, **environment: str) -> str:
        done = self.run(*command, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stages_run(self, *command: str, **environment: str) -> list[str]:
        return re.findall(r"Running stage '([\w@-]+)'", self.succeed(*command, **environment))

    def changed_stages(self) -> set[str]:
        """Return the stages that `dvc status` names."""
        return set(json.loads(self.succeed("dvc", "status", "--json")))

    def change_parameters(self, **sections: Any) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text()) | sections
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def commit(self) -> None:
        self.succeed("git", "add", "--all")
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        self.succeed("git", *identity, "commit", "--quiet", "--message", "state")


def copied(folder: Path, *places: str) -> Clone:
    """Return a repository of the files of this one, as they are in the working tree; of these places only."""
    for name in files(*places):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    clone = Clone(folder)
    clone.succeed("git", "init", "--quiet")
    return clone


def files(*places: str) -> list[str]:
    """Return the files of this repository, in these places or in all, that git knows or would add."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *places]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in found.split("\0") if name and (ROOT / name).is_file())
