"""Where the stages' files are, relative to the repository's root."""

from pathlib import Path

PARAMETERS = Path("params.yaml")
DATA = Path("data")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
GIVEN = DATA / "given"  # what people put there
CHECKED = DATA / "checked.txt"
HEADS = DATA / "heads.json"
# Outside the declared outputs, which DVC removes before it runs a stage.
CHECKPOINTS = Path(".checkpoints")


def images_file(dataset: str) -> Path:
    """Return where the images of a dataset are."""
    return DATA / "images" / f"{dataset}.npz"


def split_file(dataset: str, cut: int) -> Path:
    """Return where the imbalanced split of a dataset and cut is."""
    return DATA / "splits" / f"{dataset}-{cut}.npz"


def network_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the weights and the training history of a network are."""
    return MODELS / "networks" / f"{dataset}-{cut}" / network


def given_file(dataset: str, file: str) -> Path:
    """Return where a file of a set of embeddings is."""
    return GIVEN / dataset / file


def classes_file(dataset: str, cut: int) -> Path:
    """Return where the classes of a set of embeddings are."""
    return DATA / "classes" / f"{dataset}-{cut}.npz"


def embeddings_file(dataset: str, cut: int, network: str) -> Path:
    """Return where the embeddings of a network are."""
    return DATA / "embeddings" / f"{dataset}-{cut}" / f"{network}.npz"


def gap_file(dataset: str, cut: int, network: str) -> Path:
    """Return where the generalization gap of a network's embeddings is."""
    return DATA / "gap" / f"{dataset}-{cut}" / f"{network}.npz"


def oversampled_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the over-sampled embeddings of a network are, a file per head."""
    return DATA / "oversampled" / f"{dataset}-{cut}" / network


def heads_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the retrained heads of a network are."""
    return MODELS / "heads" / f"{dataset}-{cut}" / network


def predictions_file(dataset: str, cut: int) -> Path:
    """Return where the predictions of all heads of a dataset and cut on its test rows are."""
    return DATA / "predictions" / f"{dataset}-{cut}.npz"


def augmented_file(dataset: str, cut: int, pixel_sampler: str) -> Path:
    """Return where the synthetic images of a pixel sampler are."""
    return DATA / "augmented" / f"{dataset}-{cut}" / f"{pixel_sampler}.npz"


def generated_file(dataset: str, cut: int, generator: str) -> Path:
    """Return where the synthetic images of a generator are."""
    return DATA / "generated" / f"{dataset}-{cut}" / f"{generator}.npz"


def balanced_folder(kind: str, dataset: str, cut: int, sampler: str, *, network: str) -> Path:
    """Return where a network is that was trained on `augmented` or `generated` images."""
    return MODELS / kind / f"{dataset}-{cut}" / sampler / network


def balanced_file(kind: str, dataset: str, cut: int, sampler: str) -> Path:
    """Return where the scores of the networks on the images of one sampler are."""
    return METRICS / kind / f"{dataset}-{cut}" / f"{sampler}.csv"


def results_file(kind: str, dataset: str, cut: int) -> Path:
    """Return where the tidy results of one kind (`scores`, `classes`, …) of a dataset and cut are."""
    return METRICS / kind / f"{dataset}-{cut}.csv"


def seconds_file(stage: str, cell: str) -> Path:
    """Return where the seconds of a stage's cell are."""
    return DATA / "seconds" / stage / f"{cell}.json"
