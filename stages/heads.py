"""Tell DVC what the heads are: -> data/heads.json, for all stages that read the section `heads`."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write the definitions of all heads, in the order of params.yaml."""
    from eos.pipeline.paths import HEADS
    from eos.storage.files import write_json

    write_json(HEADS, {name: head.model_dump() for name, head in parameters().heads.items()})


if __name__ == "__main__":
    run(main)
