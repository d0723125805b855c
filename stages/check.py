"""Check params.yaml as a whole, before anything else runs: -> data/checked.txt, always the same."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Stop at a mistake in the parameters; say where results may differ from the committed ones."""
    from eos.errors import InputError
    from eos.pipeline.paths import CHECKED, PARAMETERS, given_file
    from eos.pipeline.processor import why_not_portable
    from eos.storage.files import write_text

    for name in parameters().axes.embeddings:  # DVC misses them only when all before them was run
        for network, file in parameters().embeddings[name].networks.items():
            if not given_file(name, file).is_file():
                place = f"{PARAMETERS}: embeddings.{name}.networks.{network}"
                raise InputError(f"{place}: no file {given_file(name, file)}; put or link it there")
    if reason := why_not_portable():
        print(f"{reason}: portable data sets may give other last digits here than elsewhere", flush=True)
    write_text(CHECKED, "params.yaml was checked as a whole\n")


if __name__ == "__main__":
    run(main)
