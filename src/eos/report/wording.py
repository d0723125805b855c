"""The words that tables and figures share, beside the display names of the registry."""

METRICS = ("BAC", "GM", "FM")

# What a cell of a table says of itself.
RUN, NOT_RUN = "run", "not run"

# Where the samples that balance the classes are made: before the network, behind it, or nowhere.
PIXEL, EMBEDDING, NO_SPACE = "pixel", "embedding", "none"

SPACE_TITLES = {PIXEL: "Pixels", EMBEDDING: "Embeddings", NO_SPACE: "None"}
SELECTIONS = {
    "last": "the last epoch; no data chose it",
    "validation": "the best epoch on validation data held out of the training set",
    "test": "the best epoch on the TEST set; the paper's protocol, and optimistic",
}


def space_of(head: str) -> str:
    """Return where a head's samples are made: in embedding space, or nowhere if it has none."""
    return NO_SPACE if head in {"own", "none"} else EMBEDDING
