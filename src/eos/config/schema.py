"""What `params.yaml` holds: every section, its keys and their types, as frozen objects.

Nothing is filled in silently, so what the file says is all there is. Definitions of registered names have the
parameters that `eos.registry` lists. `eos.config.loading` reads a file.
"""

from collections import Counter
from functools import reduce
from operator import or_
from pathlib import PurePosixPath
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from eos import registry
from eos.metrics.selection import RULES
from eos.registry import Count, Fraction, NonNegative, Positive, Rate, Seed, Share


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


def _section(name: str, /, **types: Any) -> Any:
    """Return a section of these keys."""
    fields: dict[str, Any] = {key: (_checked(kind), ...) for key, kind in types.items()}
    return create_model(name, __base__=_Section, **fields)


def _checked(kind: Any) -> Any:
    """Return the type that pydantic checks for one of the registry.

    A number or a word (`Positive | Literal["all"]`) is checked as what it is, so that a mistake is told once.
    """
    if kind is registry.SAMPLER:
        return Sampler | None
    if get_origin(kind) is tuple:
        each = _checked(get_args(kind)[0])
        return Annotated[tuple[each, ...], AfterValidator(_without_repeats)]  # type: ignore[valid-type]
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    if not words:
        return kind
    number = next(part for part in parts if get_origin(part) is not Literal)

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, str) and value not in words:
            raise ValueError(f"give a number, or {' or '.join(words)}")
        return value if isinstance(value, str) else handler(value)

    return Annotated[number, WrapValidator(check), PlainSerializer(lambda value: value)]


def _definitions(tag: str, table: registry.Table, **beside: Any) -> Any:
    """Return the type of a definition: under `tag` a name of the table, and beside it its parameters.

    The keys `beside` are those of all of them.
    """
    sections = [
        _section(name, **{tag: Literal[name]}, **entry.parameters, **beside) for name, entry in table.items()
    ]
    return sections[0] if len(sections) == 1 else Annotated[reduce(or_, sections), Field(discriminator=tag)]


def _defined(*sections: str, what: str = "") -> AfterValidator:
    """Return the check that a section defines a name; the validation's context is all that the file holds."""
    called = what or sections[0].removesuffix("s").replace("_", " ")

    def check(name: str, info: ValidationInfo) -> str:
        tables = [info.context.get(section) for section in sections] if info.context else []
        if tables and all(isinstance(table, dict) and name not in table for table in tables):
            raise PydanticCustomError("unknown_name", "", {"tables": tables, "what": called})
        return name

    return AfterValidator(check)


def _without_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [value for value, times in Counter(values).items() if times > 1]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice; remove one")
    return values


def _at_least_one(values: Any) -> Any:
    if not values:
        raise ValueError("list at least one")
    return values


def _in_the_sets_folder(file: str) -> str:
    path = PurePosixPath(file)
    if path.name != file or path.suffix not in EMBEDDINGS_FILES:
        kinds = ", ".join(EMBEDDINGS_FILES)
        raise ValueError(
            f"name a file ({kinds}) in the folder data/given/<name of the set>/, without that folder; "
            "one that lies elsewhere may be linked there"
        )
    return file


UNIQUE, SOME = AfterValidator(_without_repeats), AfterValidator(_at_least_one)
EMBEDDINGS_FILES = (".npz", ".safetensors", ".parquet")

# DVC joins the names of a matrix cell by '-' into one stage name: a '-' inside a name could make two
# different cells share one stage.
Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$")]
DatasetName = Annotated[Name, _defined("datasets")]
SetName = Annotated[Name, _defined("embeddings", what="set of embeddings")]
NetworkName = Annotated[Name, _defined("networks")]
HeadName = Annotated[Name, _defined("heads")]
GeneratorName = Annotated[Name, _defined("generators")]
SomeNetworks = Annotated[tuple[NetworkName, ...], UNIQUE, SOME]
SomeHeads = Annotated[tuple[HeadName, ...], UNIQUE, SOME]
PixelSamplers = Annotated[tuple[Annotated[Name, _defined("pixel_samplers")], ...], UNIQUE]
Generators = Annotated[tuple[GeneratorName, ...], UNIQUE]
SomeSeeds = Annotated[tuple[Seed, ...], UNIQUE, SOME]
Threads = Annotated[int, Field(ge=1, le=1024)]

Source: Any = _definitions("name", registry.SOURCES)
Loss: Any = _definitions("name", registry.LOSSES)
Mixing: Any = _definitions("name", registry.MIXINGS)
Augmentation: Any = _definitions("name", registry.AUGMENTATIONS)
Sampler: Any = _definitions("sampler", registry.SAMPLERS)
Head: Any = Annotated[
    Annotated[_definitions("sampler", registry.HEADS), Tag("has a sampler")]
    | Annotated[_definitions("classifier", registry.CLASSIFIERS), Tag("has a classifier")],
    Discriminator(lambda value: f"has a {'classifier' if _has_key(value, 'classifier') else 'sampler'}"),
]
PixelSampler: Any = _definitions("sampler", registry.PIXEL_SAMPLERS)
# A generator's model, and what networks on its images are trained with.
GeneratorModel: Any = _definitions("model", registry.GENERATORS)
Generator: Any = _definitions("model", registry.GENERATORS, synthetic_from=Fraction)


def _has_key(value: Any, key: str) -> bool:
    return key in value if isinstance(value, dict) else hasattr(value, key)


class Architecture(_Section):
    """A backbone, and the file of weights that it starts from; a name alone stands for freshly drawn ones."""

    name: Literal[tuple(registry.ARCHITECTURES)]  # type: ignore[valid-type]
    weights: registry.Text | None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"name": value, "weights": None}


class Axes(_Section):
    """The cells that are run: dataset x cut x network, on balanced images also x sampler.

    Sets of embeddings are apart: each has networks of its own, and one cut, 0.
    """

    datasets: Annotated[tuple[DatasetName, ...], UNIQUE]
    embeddings: Annotated[tuple[SetName, ...], UNIQUE]
    cuts: SomeSeeds
    networks: SomeNetworks
    pixel_samplers: PixelSamplers
    pixel_networks: SomeNetworks
    generators: Generators
    generator_networks: SomeNetworks

    @model_validator(mode="after")
    def _something(self) -> "Axes":
        if not self.datasets and not self.embeddings:
            raise ValueError("datasets and embeddings are both empty; list at least one data set")
        return self


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
    crop_padding: registry.Padding
    horizontal_flip: bool
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    score_every: Positive
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


def _or_auto(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, str) and value != "auto":
        raise ValueError("give a number, or auto")
    return value if value == "auto" else check(value)


def _and_auto(kind: Any) -> Any:
    return Annotated[kind, WrapValidator(_or_auto), PlainSerializer(lambda value: value)]


# What is the same for all datasets; of the rest a dataset may have its own, or leave some to its size.
GENERAL = {"momentum", "warmup", "milestones", "factors", "device", "seed"}
AUTO = ("epochs", "batch_size", "learning_rate")
_own: dict[str, Any] = {
    key: (_and_auto(kind | None) if key in AUTO else kind | None, None)
    for key, kind in Training.__annotations__.items()
    if key not in GENERAL
}
DatasetTraining: Any = create_model("DatasetTraining", __base__=_Section, **_own)


class ExponentialImbalance(_Section):
    """Class sizes that fall exponentially from the first class to the last, `ratio` between the two."""

    profile: Literal["exponential"]
    ratio: registry.AtLeastOne


class NoImbalance(_Section):
    """The images as they are: for data that are imbalanced already."""

    profile: Literal["as_is"]


class Normalization(_Section):
    """Mean and standard deviation of each channel, of pixel values between 0 and 1."""

    mean: tuple[registry.ZeroToOne, ...]
    std: tuple[Rate, ...]

    @model_validator(mode="after")
    def _channels(self) -> "Normalization":
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(f"{len(self.mean)} means, {len(self.std)} deviations; give one each per channel")
        return self


class Dataset(_Section):
    """A named source of images with its imbalance profile.

    `portable`: its stages give the same bytes on every processor that `eos.pipeline.processor` knows.
    `generators`: by generator, parameters that differ from its definition.
    """

    source: Source
    portable: bool
    imbalance: Annotated[ExponentialImbalance | NoImbalance, Field(discriminator="profile")]
    normalization: Normalization | None
    architecture: Architecture
    training: DatasetTraining
    generators: dict[GeneratorName, dict[str, Any]]


class EmbeddingSet(_Section):
    """A data set of embeddings that were made elsewhere: by network, a file in the folder of the set.

    `test_share`: of the training rows, held out where a file has no test rows; null where all have some.
    `standardize`: bring each feature to mean 0 and deviation 1 over the training rows.
    """

    networks: Annotated[dict[Name, Annotated[str, AfterValidator(_in_the_sets_folder)]], SOME]
    heads: SomeHeads
    test_share: registry.OpenFraction | None
    seed: Seed
    standardize: bool
    portable: bool


class Network(_Section):
    """One end-to-end training, and the heads its embeddings get."""

    loss: Loss
    mixing: Mixing | None
    augmentations: tuple[Augmentation, ...]
    resample_from: registry.ZeroToOne
    architecture: Architecture | None
    epochs_share: Share
    heads: SomeHeads

    @model_validator(mode="after")
    def _soft_labels(self) -> "Network":
        if self.mixing is not None and self.loss.name not in registry.SOFT_TARGET_LOSSES:
            raise ValueError(
                f"loss {self.loss.name!r} cannot be trained on mixed labels; "
                f"set its name to {' or '.join(registry.SOFT_TARGET_LOSSES)}, or mixing to null"
            )
        return self


class HeadTraining(_Section):
    """Phase 3: the recipe for the heads."""

    epochs: Positive
    curve_epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    momentum: Fraction
    weight_decay: NonNegative
    warmup_epochs: Count
    seeds: SomeSeeds

    @model_validator(mode="after")
    def _curve(self) -> "HeadTraining":
        if self.curve_epochs < self.epochs:
            raise ValueError(f"curve_epochs {self.curve_epochs} must be at least epochs {self.epochs}")
        return self


class Projection(_Section):
    """Figure 6: one network, a panel per head, of two classes at most `points` rows each.

    `classes` names the two of a dataset; for datasets it does not name they are the largest and the smallest.
    """

    network: NetworkName
    heads: SomeHeads
    classes: dict[Annotated[Name, _defined("datasets", "embeddings")], tuple[str, str]]
    points: registry.AtLeastTwo

    @model_validator(mode="after")
    def _two(self) -> "Projection":
        for dataset, (one, other) in self.classes.items():
            if one == other:
                raise ValueError(f"classes of {dataset}: {one!r} twice; name two different classes")
        return self


Split: Any = _section("Split", validation_fraction=Fraction)
Recommended: Any = _section("Recommended", network=NetworkName, head=HeadName)
Oversampling: Any = _section("Oversampling", random_state=Seed)
StageResources: Any = _section("StageResources", cpus=Positive, gpus=registry.ZeroToOne, retries=Count)
Cluster: Any = _section("Cluster", together=Positive, stages=dict[Name, StageResources])

# The cells of a table or a figure: networks against heads, or several heads of one network.
Grid: Any = _section("Grid", networks=SomeNetworks, heads=SomeHeads)
Row: Any = _section("Row", network=NetworkName, heads=SomeHeads)
Tables: Any = _section(
    "Tables",
    # One network on images that were balanced first, the ReMix network, and its heads.
    table1=_section(
        "Table1",
        network=NetworkName,
        pixel_samplers=Annotated[PixelSamplers, SOME],
        remix=NetworkName,
        heads=SomeHeads,
    ),
    table2=Grid,
    # Each network on images of each generator, and its head.
    table3=_section("Table3", networks=SomeNetworks, generators=Annotated[Generators, SOME], head=HeadName),
    table4=Row,
    table5=Grid,
    methods=_section("Methods", heads=SomeHeads),
    # Heads of one network, other networks with the same few heads, and generators; by dataset, the set on
    # which others have published.
    cited=_section(
        "Cited",
        network=NetworkName,
        heads=SomeHeads,
        networks=SomeNetworks,
        network_heads=SomeHeads,
        generators=Generators,
        published_as=dict[
            Annotated[Name, _defined("datasets", "embeddings")],
            Literal["cifar10_10", "cifar10_50", "cifar10_100", "cifar100_10", "cifar100_50", "cifar100_100"],
        ],
    ),
)
Figures: Any = _section(
    "Figures",
    figure3=Grid,
    figure4=_section("Figure4", networks=SomeNetworks),
    figure5=Grid,
    figure6=Projection,
    figure7=Row,
    recall=Grid,
    confusion=Grid,
)


class Parameters(_Section):
    """All of `params.yaml`."""

    axes: Axes
    selection: Literal[RULES]  # type: ignore[valid-type]
    split: Split
    datasets: dict[Name, Dataset]
    embeddings: dict[Name, EmbeddingSet]
    networks: dict[Name, Network]
    heads: dict[Name, Head]
    recommended: Recommended
    pixel_samplers: dict[Name, PixelSampler]
    generators: dict[Name, Generator]
    training: Training
    oversampling: Oversampling
    head_training: HeadTraining
    tables: Tables
    figures: Figures
    cluster: Cluster
