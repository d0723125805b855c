"""The parameters, typed and checked as a whole before anything runs.

`load` reads a `params.yaml` into frozen objects. An unknown name, a wrong type or a value out of range
stops with the offending path and what would be valid; nothing is filled in silently, so what the file
says is all there is.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eos.errors import InputError, unknown_name
from eos.selection import RULES

# DVC joins the names of a matrix cell by '-' into one stage name: a '-' inside a name could make two
# different cells share one stage.
NAME = r"[a-z][a-z0-9_]*"

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1, le=10**9)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Rate = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def _without_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice; remove one")
    return values


def _at_least_one(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("list at least one")
    return values


Precision = Literal["auto", "fp32", "bf16"]
# The names of `eos.networks.ARCHITECTURES`, told here because importing them takes torch.
Architecture = Literal["resnet20", "resnet32", "resnet56"]
# Those of `eos.torchvision_datasets.LOADERS`.
TorchvisionName = Literal["cifar10", "cifar100", "svhn", "celeba"]
Names = Annotated[tuple[Name, ...], AfterValidator(_without_repeats)]
SomeNames = Annotated[Names, AfterValidator(_at_least_one)]
SomeSeeds = Annotated[tuple[Seed, ...], AfterValidator(_without_repeats), AfterValidator(_at_least_one)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        # Said here rather than left to `extra`, whose error does not tell which keys there are.
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError("unknown_key", "", {"key": key, "known": list(cls.model_fields)})
        return values


class Axes(_Section):
    """The cells that are run: every dataset x cut x network."""

    datasets: SomeNames
    cuts: SomeSeeds
    networks: SomeNames


class Split(_Section):
    """How the imbalanced training images are divided."""

    validation_fraction: Fraction


class DigitsSource(_Section):
    """scikit-learn's bundled 8x8 digits; a balanced test set is drawn with `seed`."""

    name: Literal["digits"]
    test_per_class: Positive
    seed: Seed


class TorchvisionSource(_Section):
    """One of the paper's data sets; `seed` picks the test images that stay where `balance_test` is set."""

    name: Literal["torchvision"]
    dataset: TorchvisionName
    balance_test: bool
    seed: Seed


class FolderSource(_Section):
    """Own images in a folder or an archive; without a test tree, `test_fraction` is drawn with `seed`."""

    name: Literal["folder"]
    path: Annotated[str, StringConstraints(min_length=1)]
    image_size: Positive
    channels: Literal[1, 3]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


Source = Annotated[DigitsSource | TorchvisionSource | FolderSource, Field(discriminator="name")]


class Imbalance(_Section):
    """Class sizes: exponential from the largest to the smallest, `ratio` between the two."""

    profile: Literal["exponential"]
    ratio: Annotated[float, Field(ge=1)]


class Training(_Section):
    """Phase 1: the recipe for the network."""

    epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    momentum: Fraction
    weight_decay: NonNegative
    warmup: Fraction
    milestones: tuple[Fraction, ...]
    factors: tuple[NonNegative, ...]
    crop_padding: Annotated[int, Field(ge=0)]
    horizontal_flip: bool
    precision: Precision
    device: Literal["auto", "cpu", "cuda"]
    cpu_threads: Threads | None
    seed: Seed

    @model_validator(mode="after")
    def _schedule(self) -> "Training":
        if len(self.milestones) != len(self.factors):
            raise ValueError(
                f"{len(self.milestones)} milestones but {len(self.factors)} factors; give one factor each"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} must increase")
        return self


class TrainingOverrides(_Section):
    """What one dataset changes of `Training`."""

    epochs: Positive | None = None
    batch_size: Positive | None = None
    learning_rate: Rate | None = None
    weight_decay: NonNegative | None = None
    crop_padding: Annotated[int, Field(ge=0)] | None = None
    horizontal_flip: bool | None = None
    precision: Precision | None = None
    cpu_threads: Threads | None = None


class Normalization(_Section):
    """Mean and standard deviation of each channel, of pixel values between 0 and 1."""

    mean: tuple[float, ...]
    std: tuple[Rate, ...]

    @model_validator(mode="after")
    def _channels(self) -> "Normalization":
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(f"{len(self.mean)} means, {len(self.std)} deviations; give one each per channel")
        return self


class Dataset(_Section):
    """A named source of images with its imbalance profile."""

    source: Source
    imbalance: Imbalance
    normalization: Normalization | None
    architecture: Architecture
    training: TrainingOverrides


class CrossEntropy(_Section):
    """Plain cross-entropy."""

    name: Literal["ce"]


class AsymmetricLoss(_Section):
    """ASL in its single-label form."""

    name: Literal["asl"]
    gamma_positive: NonNegative
    gamma_negative: NonNegative
    label_smoothing: Fraction


class FocalLoss(_Section):
    """Focal loss."""

    name: Literal["focal"]
    gamma: NonNegative


class LDAMLoss(_Section):
    """LDAM; deferred re-weighting starts at the fraction `reweight_from` of the epochs."""

    name: Literal["ldam"]
    max_margin: Rate
    scale: Rate
    reweight_from: Annotated[float, Field(ge=0, le=1)]
    beta: Fraction


Loss = Annotated[CrossEntropy | AsymmetricLoss | FocalLoss | LDAMLoss, Field(discriminator="name")]


class Network(_Section):
    """One end-to-end training, and the heads its embeddings get."""

    loss: Loss
    architecture: Architecture | None
    heads: SomeNames


class OwnHead(_Section):
    """The network's own classifier."""

    sampler: Literal["own"]


class PlainHead(_Section):
    """A fresh linear layer on the imbalanced embeddings."""

    sampler: Literal["none"]


class RandomHead(_Section):
    """Random over-sampling."""

    sampler: Literal["random"]


class SmoteHead(_Section):
    """SMOTE."""

    sampler: Literal["smote"]
    k_neighbors: Positive


class BorderlineHead(_Section):
    """Borderline-SMOTE 1."""

    sampler: Literal["bsmote"]
    k_neighbors: Positive
    m_neighbors: Positive


class BalancedSVMHead(_Section):
    """Balanced SVM."""

    sampler: Literal["balsvm"]
    k_neighbors: Positive
    relabel: Literal["synthetic", "all"]


class EOSHead(_Section):
    """Expansive Over-Sampling."""

    sampler: Literal["eos"]
    k_neighbors: Positive
    variant: Literal["toward", "away", "released"]
    step_size: Annotated[float, Field(gt=0, le=1)]


Head = Annotated[
    OwnHead | PlainHead | RandomHead | SmoteHead | BorderlineHead | BalancedSVMHead | EOSHead,
    Field(discriminator="sampler"),
]


class Oversampling(_Section):
    """Phase 2: what all samplers share."""

    random_state: Seed


class HeadTraining(_Section):
    """Phase 3: the recipe for the heads."""

    epochs: Positive
    curve_epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    momentum: Fraction
    weight_decay: NonNegative
    warmup_epochs: Annotated[int, Field(ge=0)]
    seeds: SomeSeeds

    @model_validator(mode="after")
    def _curve(self) -> "HeadTraining":
        if self.curve_epochs < self.epochs:
            raise ValueError(f"curve_epochs {self.curve_epochs} must be at least epochs {self.epochs}")
        return self


class Grid(_Section):
    """Networks against heads, as Table II, Figure 3 and Figure 5 show them."""

    networks: SomeNames
    heads: SomeNames


class Row(_Section):
    """Several heads of one network, as Table IV and Figure 7 show them."""

    network: Name
    heads: SomeNames


class Tables(_Section):
    """The cells of each table."""

    table2: Grid
    table4: Row


class Figures(_Section):
    """The cells of each figure."""

    figure3: Grid
    figure5: Grid
    figure7: Row


class Parameters(_Section):
    """All of `params.yaml`."""

    axes: Axes
    selection: Literal[RULES]  # type: ignore[valid-type]
    split: Split
    datasets: dict[Name, Dataset]
    networks: dict[Name, Network]
    heads: dict[Name, Head]
    training: Training
    oversampling: Oversampling
    head_training: HeadTraining
    tables: Tables
    figures: Figures


def load(path: Path) -> Parameters:
    """Read and check the parameters.

    Parameters
    ----------
    path
        A YAML file laid out as this repository's `params.yaml`.

    Raises
    ------
    InputError
        If the file is missing or is not YAML, or if a key is missing or unknown, a value has the wrong type
        or is out of range, or a name refers to nothing. All problems are listed, one a line.
    """
    try:
        # DVC's own parser: it writes 5e-05 for 0.00005, which others read as text.
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run this from the repository's root") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no mapping of sections; restore it with `git checkout {path.name}`")
    try:
        parameters = Parameters.model_validate(_tuples(content))
    except ValidationError as error:
        raise InputError("\n".join(_explain(path, problem) for problem in error.errors())) from error
    _check_references(path, parameters)
    return parameters


def _tuples(value: Any) -> Any:
    """Turn YAML's lists into tuples: the strict frozen models hold nothing that can change."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(path: Path, problem: Any) -> str:
    keys = list(problem["loc"])
    # A tagged union puts its tag into the location; the file has no such key.
    if len(keys) > 2 and keys[0] == "heads":
        del keys[2]
    if len(keys) > 3 and (keys[0], keys[2]) in {("networks", "loss"), ("datasets", "source")}:
        del keys[3]
    place = f"{path.name}: " + "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys if key != "[key]"
    ).removeprefix(".")
    value, kind, context = problem["input"], problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return f"{place}: this key is missing; add it, as `git show HEAD:params.yaml` has it"
    if kind == "unknown_key":
        return str(unknown_name(context["key"], context["known"], what="key", place=place.removesuffix(": ")))
    if kind in {"literal_error", "union_tag_invalid"}:
        told = context.get("expected") or context["expected_tags"]
        known = [name.strip("'") for name in re.split(", | or ", told)]
        if kind == "union_tag_invalid":
            tag = context["discriminator"].strip("'")
            place, value = f"{place}.{tag}", context["tag"]
        return str(unknown_name(value, known, what="value", place=place))
    if kind == "union_tag_not_found":
        return f"{place}: the key {context['discriminator']} is missing; it says which definition this is"
    if kind == "string_pattern_mismatch":
        rule = "must begin with a letter and hold only a-z, 0-9 and '_' (DVC joins names by '-')"
        return f"{place}: the name {value!r} {rule}"
    if kind == "tuple_type":
        return f"{place}: {value!r} is not possible: it should be a list"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"{place}: {value!r} is not possible: it should be a mapping of keys"
    message = problem["msg"].removeprefix("Value error, ").replace("Input", "it", 1)
    shown = "" if isinstance(value, dict) else f"{_plain(value)!r} is not possible: "
    return f"{place}: {shown}{message}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_references(path: Path, parameters: Parameters) -> None:
    """Raise `InputError` for the names that refer to no definition."""
    problems = []

    def check(names: tuple[str, ...] | str, known: Any, what: str, place: str) -> None:
        single = isinstance(names, str)
        for index, name in enumerate([names] if isinstance(names, str) else names):
            if name not in known:
                where = f"{path.name}: {place}" + ("" if single else f"[{index}]")
                problems.append(str(unknown_name(name, known, what=what, place=where)))

    check(parameters.axes.datasets, parameters.datasets, "dataset", "axes.datasets")
    check(parameters.axes.networks, parameters.networks, "network", "axes.networks")
    for name, network in parameters.networks.items():
        check(network.heads, parameters.heads, "head", f"networks.{name}.heads")
    grids = {
        "tables.table2": parameters.tables.table2,
        "figures.figure3": parameters.figures.figure3,
        "figures.figure5": parameters.figures.figure5,
    }
    for place, grid in grids.items():
        check(grid.networks, parameters.networks, "network", f"{place}.networks")
        check(grid.heads, parameters.heads, "head", f"{place}.heads")
    rows = {"tables.table4": parameters.tables.table4, "figures.figure7": parameters.figures.figure7}
    for place, row in rows.items():
        check(row.network, parameters.networks, "network", f"{place}.network")
        check(row.heads, parameters.heads, "head", f"{place}.heads")
    for index, head in enumerate(parameters.tables.table4.heads):
        if head in parameters.heads and not isinstance(parameters.heads[head], EOSHead):
            problems.append(
                f"{path.name}: tables.table4.heads[{index}]: {head!r} is no EOS head, and Table IV compares "
                "EOS by its number of neighbours; name heads with `sampler: eos`"
            )
    if parameters.selection == "validation" and parameters.split.validation_fraction == 0:
        problems.append(
            f"{path.name}: selection 'validation' needs held-out images, but split.validation_fraction is 0; "
            "set it to 0.1, say"
        )
    if problems:
        raise InputError("\n".join(problems))
