"""Check params.yaml as a whole, before any stage loses its outputs to a mistake in it."""

import common
from eos.files import write_json


def main() -> None:
    """Write a file that is always the same: every stage waits for it, and none reruns because of it."""
    common.parameters()
    write_json(common.DATA / "checked" / "parameters.json", {"parameters": "checked"})


if __name__ == "__main__":
    common.run(main)
