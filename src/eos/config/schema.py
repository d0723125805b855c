"""The parameters, typed and checked as a whole before anything runs.

`load` reads a `params.yaml` into frozen objects. An unknown name, a wrong type or a value out of range
stops with the offending path and what would be valid; nothing is filled in silently, so what the file
says is all there is.
"""

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eos.errors import InputError, unknown_name
from eos.generators.generation import GENERATOR_SIDES, GENERATORS, fits_generators, generator_kinds
from eos.kinds import Fraction, NonNegative, Positive, Rate, Seed, Share, Threads
from eos.registry import ARCHITECTURES, LOSSES
from eos.samplers.oversampling import SAMPLERS
from eos.samplers.pixels import PIXEL_SAMPLERS
from eos.selection import RULES

# DVC joins the names of a matrix cell by '-' into one stage name: a '-' inside a name could make two
# different cells share one stage.
NAME = r"[a-z][a-z0-9_]*"

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]


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
Architecture: Any = Literal[tuple(ARCHITECTURES)]
# Those of `eos.data.torchvision_datasets.LOADERS`.
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
    """The cells that are run: dataset x cut x network, on balanced images also x sampler."""

    datasets: SomeNames
    cuts: SomeSeeds
    networks: SomeNames
    pixel_samplers: Names
    pixel_networks: Names
    generators: Names
    generator_networks: Names


class Split(_Section):
    """How the imbalanced training images are divided."""

    validation_fraction: Fraction


class DigitsSource(_Section):
    """scikit-learn's bundled 8x8 digits; a balanced test set is drawn with `seed`."""

    channels: ClassVar[int] = 1
    name: Literal["digits"]
    test_per_class: Positive
    seed: Seed


class TorchvisionSource(_Section):
    """One of the paper's data sets; `seed` picks the test images that stay where `balance_test` is set."""

    channels: ClassVar[int] = 3
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
    # For a quick trial: read at most so many images of each class.
    train_per_class: Positive | None = None
    test_per_class: Positive | None = None


Source = Annotated[DigitsSource | TorchvisionSource | FolderSource, Field(discriminator="name")]


class ExponentialImbalance(_Section):
    """Class sizes that fall exponentially from the first class to the last, `ratio` between the two."""

    profile: Literal["exponential"]
    ratio: Annotated[float, Field(ge=1)]


class NoImbalance(_Section):
    """The images as they are: for data that are imbalanced already."""

    profile: Literal["as_is"]


Imbalance = Annotated[ExponentialImbalance | NoImbalance, Field(discriminator="profile")]


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
    score_every: Positive = 1
    device: Literal["auto", "cpu", "cuda"]
    cpu_threads: Threads | None
    seed: Seed
    balanced_epochs_share: Share

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
    score_every: Positive | None = None
    cpu_threads: Threads | None = None
    balanced_epochs_share: Share | None = None


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
    # By generator, parameters that differ from its definition.
    generators: dict[Name, dict[str, Any]]


def _definitions(tag: str, kinds: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the type of a definition: under `tag` one of the names, and beside it that name's parameters."""
    models: list[Any] = []
    for name, parameters in kinds.items():
        fields: dict[str, Any] = {tag: (Literal[name], ...)}
        fields |= {parameter: (kind, ...) for parameter, kind in parameters.items()}
        models.append(create_model(name, __base__=_Section, __doc__=f"Parameters of {name}.", **fields))
    return Annotated[reduce(or_, models), Field(discriminator=tag)]


Loss: Any = _definitions("name", {name: entry.parameters for name, entry in LOSSES.items()})


class Remix(_Section):
    """ReMix: every batch is balanced and mixed up with weights from Beta(alpha, alpha)."""

    name: Literal["remix"]
    alpha: Rate


class Network(_Section):
    """One end-to-end training, and the heads its embeddings get."""

    loss: Loss
    mixing: Remix | None
    architecture: Architecture | None
    epochs_share: Share
    heads: SomeNames

    @model_validator(mode="after")
    def _soft_labels(self) -> "Network":
        if self.mixing is not None and self.loss.name != "ce":
            raise ValueError(
                f"loss {self.loss.name!r} cannot be trained on mixed labels; "
                "set its name to ce, or mixing to null"
            )
        return self


# A head is the network's own classifier, a fresh layer on the imbalanced embeddings, or one on embeddings
# that a sampler has balanced.
Head: Any = _definitions(
    "sampler", {"own": {}, "none": {}, **{name: sampler.kinds for name, sampler in SAMPLERS.items()}}
)
PixelSampler: Any = _definitions("sampler", PIXEL_SAMPLERS)
Generator: Any = _definitions("model", {name: generator_kinds(name) for name in GENERATORS})


class Oversampling(_Section):
    """Phase 2: what all samplers share, those of images and the generators too."""

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


class PixelsAgainstEmbeddings(_Section):
    """Table I: one network on images that were balanced first, the ReMix network, and its heads."""

    network: Name
    pixel_samplers: SomeNames
    remix: Name
    heads: SomeNames


class GeneratorsAgainstHead(_Section):
    """Table III: each network on images of each generator, and its head."""

    networks: SomeNames
    generators: SomeNames
    head: Name


class Tables(_Section):
    """The cells of each table."""

    table1: PixelsAgainstEmbeddings
    table2: Grid
    table3: GeneratorsAgainstHead
    table4: Row
    table5: Grid


class Bars(_Section):
    """The networks of Figure 4."""

    networks: SomeNames


class Projection(_Section):
    """Figure 6: one network, a panel per head, of two classes at most `points` rows each.

    `classes` names the two of a dataset; for datasets it does not name they are the largest and the smallest.
    """

    network: Name
    heads: SomeNames
    classes: dict[Name, tuple[str, str]]
    points: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _two(self) -> "Projection":
        for dataset, (one, other) in self.classes.items():
            if one == other:
                raise ValueError(f"classes of {dataset}: {one!r} twice; name two different classes")
        return self


class Figures(_Section):
    """The cells of each figure."""

    figure3: Grid
    figure4: Bars
    figure5: Grid
    figure6: Projection
    figure7: Row


class Parameters(_Section):
    """All of `params.yaml`."""

    axes: Axes
    selection: Literal[RULES]  # type: ignore[valid-type]
    split: Split
    datasets: dict[Name, Dataset]
    networks: dict[Name, Network]
    heads: dict[Name, Head]
    pixel_samplers: dict[Name, PixelSampler]
    generators: dict[Name, Generator]
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


def generator_on(parameters: Parameters, dataset: str, generator: str) -> Any:
    """Return a generator's definition with the dataset's own values in it."""
    definition = parameters.generators[generator].model_dump()
    changes = parameters.datasets[dataset].generators.get(generator, {})
    return TypeAdapter(Generator).validate_python(definition | changes)


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
    if len(keys) > 2 and keys[0] in {"heads", "pixel_samplers", "generators"}:
        del keys[2]
    tagged = {("networks", "loss"), ("datasets", "source"), ("datasets", "imbalance")}
    if len(keys) > 3 and (keys[0], keys[2]) in tagged:
        del keys[3]
    place = f"{path.name}: " + "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys if key != "[key]"
    ).removeprefix(".")
    value, kind, context = _plain(problem["input"]), problem["type"], problem.get("ctx", {})
    if kind == "missing" and isinstance(keys[-1], int):
        return f"{place.rpartition('[')[0]}: {value!r} is not possible: it has too few values"
    if kind == "string_type" and isinstance(value, int | float):
        return f"{place}: {value!r} is a number; a name is text: quote it, or choose another"
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
    if kind in _SHAPES:
        return f"{place}: {value!r} is not possible: {_SHAPES[kind].format(**context)}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input", "it", 1)
    shown = "" if isinstance(value, dict) else f"{value!r} is not possible: "
    return f"{place}: {shown}{message}"


# Of a value's shape, by pydantic's name for the problem.
_SHAPES = {
    "tuple_type": "it should be a list",
    "too_long": "give {max_length} values at most",
    "model_type": "it should be a mapping of keys",
    "model_attributes_type": "it should be a mapping of keys",
    "dict_type": "it should be a mapping of keys",
}


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

    known = {
        "dataset": parameters.datasets,
        "network": parameters.networks,
        "head": parameters.heads,
        "pixel sampler": parameters.pixel_samplers,
        "generator": parameters.generators,
    }
    axes, tables, figures = parameters.axes, parameters.tables, parameters.figures
    for name, dataset in parameters.datasets.items():
        for generator in dataset.generators:
            check(generator, parameters.generators, "generator", f"datasets.{name}.generators")
            if generator in parameters.generators:
                try:
                    generator_on(parameters, name, generator)
                except ValidationError as error:
                    keys = ("datasets", name, "generators", generator)
                    problems += [
                        _explain(path, {**one, "loc": (*keys, *one["loc"][1:])}) for one in error.errors()
                    ]
    references: list[tuple[str, tuple[str, ...] | str, str]] = [
        ("dataset", axes.datasets, "axes.datasets"),
        ("network", axes.networks, "axes.networks"),
        ("pixel sampler", axes.pixel_samplers, "axes.pixel_samplers"),
        ("network", axes.pixel_networks, "axes.pixel_networks"),
        ("generator", axes.generators, "axes.generators"),
        ("network", axes.generator_networks, "axes.generator_networks"),
        *(("head", network.heads, f"networks.{name}.heads") for name, network in parameters.networks.items()),
        ("network", tables.table1.remix, "tables.table1.remix"),
        ("pixel sampler", tables.table1.pixel_samplers, "tables.table1.pixel_samplers"),
        ("generator", tables.table3.generators, "tables.table3.generators"),
        ("network", tables.table3.networks, "tables.table3.networks"),
        ("head", tables.table3.head, "tables.table3.head"),
        ("network", figures.figure4.networks, "figures.figure4.networks"),
        ("dataset", tuple(figures.figure6.classes), "figures.figure6.classes"),
    ]
    many: dict[str, Any] = {
        "tables.table2": tables.table2,
        "tables.table5": tables.table5,
        "figures.figure3": figures.figure3,
        "figures.figure5": figures.figure5,
    }
    one: dict[str, Any] = {
        "tables.table1": tables.table1,
        "tables.table4": tables.table4,
        "figures.figure6": figures.figure6,
        "figures.figure7": figures.figure7,
    }
    for place, cells in many.items():
        references.append(("network", cells.networks, f"{place}.networks"))
        references.append(("head", cells.heads, f"{place}.heads"))
    for place, cells in one.items():
        references.append(("network", cells.network, f"{place}.network"))
        references.append(("head", cells.heads, f"{place}.heads"))
    for what, names, place in references:
        check(names, known[what], what, place)
    for index, head in enumerate(parameters.tables.table4.heads):
        if head in parameters.heads and parameters.heads[head].sampler != "eos":
            problems.append(
                f"{path.name}: tables.table4.heads[{index}]: {head!r} is no EOS head, and Table IV compares "
                "EOS by its number of neighbours; name heads with `sampler: eos`"
            )
    problems += _unsuitable_sizes(path, parameters)
    problems += _unsuitable_channels(path, parameters)
    if parameters.selection == "validation" and parameters.split.validation_fraction == 0:
        problems.append(
            f"{path.name}: selection 'validation' needs held-out images, but split.validation_fraction is 0; "
            "set it to 0.1, say"
        )
    if problems:
        raise InputError("\n".join(problems))


def _unsuitable_channels(path: Path, parameters: Parameters) -> list[str]:
    """Return what is wrong with normalisations of other images than the source's."""
    problems = []
    for name, dataset in parameters.datasets.items():
        channels, given = dataset.source.channels, dataset.normalization
        if given and len(given.mean) != channels:
            problems.append(
                f"{path.name}: datasets.{name}.normalization: values for {len(given.mean)} channel(s), but "
                f"images of this source have {channels}; give {channels} of each, or null to compute them"
            )
    return problems


def _unsuitable_sizes(path: Path, parameters: Parameters) -> list[str]:
    """Return what is wrong with data sets whose images the generators on the axes cannot draw."""
    problems = []
    for name in parameters.axes.datasets if parameters.axes.generators else ():
        source = parameters.datasets[name].source if name in parameters.datasets else None
        if isinstance(source, FolderSource) and not fits_generators(source.image_size):
            problems.append(
                f"{path.name}: datasets.{name}.source.image_size: {source.image_size} does not suit the "
                f"generators of axes.generators, which need {GENERATOR_SIDES}; change it, or set "
                "axes.generators to []"
            )
    return problems
