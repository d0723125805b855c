"""What `params.yaml` holds: every section, its keys and their types, as frozen objects.

Nothing is filled in silently, so what the file says is all there is. Definitions of registered names have the
parameters that `eos.registry` lists. `eos.config.loading` reads a file.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from eos import registry
from eos.metrics.selection import RULES
from eos.registry import Count, Fraction, NonNegative, Positive, Rate, Seed, Share

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
Threads = Annotated[int, Field(ge=1, le=1024)]
Architecture: Any = Literal[tuple(registry.ARCHITECTURES)]
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


def _definitions(tag: str, table: registry.Table) -> Any:
    """Return the type of a definition: under `tag` a name of the table, and beside it its parameters."""
    models: list[Any] = []
    for name, entry in table.items():
        fields: dict[str, Any] = {tag: (Literal[name], ...)}
        fields |= {parameter: (kind, ...) for parameter, kind in entry.parameters.items()}
        models.append(create_model(name, __base__=_Section, __doc__=f"Parameters of {name}.", **fields))
    if len(models) == 1:
        return models[0]
    return Annotated[reduce(or_, models), Field(discriminator=tag)]


Source: Any = _definitions("name", registry.SOURCES)


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
    crop_padding: Count
    horizontal_flip: bool
    precision: Precision
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


class TrainingOverrides(_Section):
    """What one dataset changes of `Training`."""

    epochs: Positive | None = None
    batch_size: Positive | None = None
    learning_rate: Rate | None = None
    weight_decay: NonNegative | None = None
    crop_padding: Count | None = None
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
    """A named source of images with its imbalance profile.

    `portable`: its stages give the same bytes on every processor that `eos.pipeline.processor` knows.
    """

    source: Source
    portable: bool
    imbalance: Imbalance
    normalization: Normalization | None
    architecture: Architecture
    training: TrainingOverrides
    # By generator, parameters that differ from its definition.
    generators: dict[Name, dict[str, Any]]


Loss: Any = _definitions("name", registry.LOSSES)
Mixing: Any = _definitions("name", registry.MIXINGS)


class Network(_Section):
    """One end-to-end training, and the heads its embeddings get."""

    loss: Loss
    mixing: Mixing | None
    architecture: Architecture | None
    epochs_share: Share
    heads: SomeNames

    @model_validator(mode="after")
    def _soft_labels(self) -> "Network":
        if self.mixing is not None and self.loss.name not in registry.SOFT_TARGET_LOSSES:
            raise ValueError(
                f"loss {self.loss.name!r} cannot be trained on mixed labels; "
                f"set its name to {' or '.join(registry.SOFT_TARGET_LOSSES)}, or mixing to null"
            )
        return self


Head: Any = _definitions("sampler", registry.HEADS)
PixelSampler: Any = _definitions("sampler", registry.PIXEL_SAMPLERS)
Generator: Any = _definitions("model", registry.GENERATORS)


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
    warmup_epochs: Count
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
    points: registry.AtLeastTwo

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
