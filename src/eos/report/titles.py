"""The words of tables and figures: what a reader knows the names of the parameters by."""

METRICS = ("BAC", "GM", "FM")

# What a cell of a table says of itself.
RUN, NOT_RUN = "run", "not run"

# Where the samples that balance the classes are made: before the network, behind it, or nowhere.
PIXEL, EMBEDDING, NO_SPACE = "pixel", "embedding", "none"

SPACE_TITLES = {PIXEL: "Pixels", EMBEDDING: "Embeddings", NO_SPACE: "None"}
NETWORK_TITLES = {
    "ce": "CE",
    "asl": "ASL",
    "focal": "Focal",
    "ldam": "LDAM",
    "remix": "ReMix",
    "resnet56": "ResNet-56",
    "wideresnet": "WideResNet-22-4",
    "densenet": "DenseNet-40-12",
}
HEAD_TITLES = {
    "own": "Own classifier",
    "none": "No over-sampling",
    "random": "Random",
    "smote": "SMOTE",
    "bsmote": "Borderline-SMOTE",
    "balsvm": "Balanced SVM",
    "eos": "EOS",
}
GENERATOR_TITLES = {"gamo": "GAMO", "bagan": "BAGAN", "cgan": "CGAN"}
DATASET_TITLES = {
    "digits": "Digits",
    "cifar10": "CIFAR-10",
    "svhn": "SVHN",
    "cifar100": "CIFAR-100",
    "celeba": "CelebA",
}
SELECTIONS = {
    "last": "the last epoch; no data chose it",
    "validation": "the best epoch on validation data held out of the training set",
    "test": "the best epoch on the TEST set; the paper's protocol, and optimistic",
}


def dataset_title(name: str) -> str:
    """Return the name a reader knows the dataset by, or the name itself."""
    return DATASET_TITLES.get(name, name)


def network_title(name: str) -> str:
    """Return the name a reader knows the network by, or the name itself."""
    return NETWORK_TITLES.get(name, name)


def head_title(name: str) -> str:
    """Return the name a reader knows the head by, or the name itself."""
    return HEAD_TITLES.get(name, name)


def method_title(name: str) -> str:
    """Return the name a reader knows a way to balance by, a head's or a generator's, or the name itself."""
    return GENERATOR_TITLES.get(name, head_title(name))


def space_of(head: str) -> str:
    """Return where a head's samples are made: in embedding space, or nowhere if it has none."""
    return NO_SPACE if head in {"own", "none"} else EMBEDDING
