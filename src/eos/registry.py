"""Every name that `params.yaml` may use: where its code is, its title, what a definition has to give.

All kinds of names are tables of one shape. To add a thing, write it in the package of its kind and add its
line here; docs/extending.md shows it. Nothing heavy is imported before it is used, and no value is given
here: `params.yaml` has them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any, Literal

from annotated_types import Interval, Len

from eos.errors import unknown_name

# The types of parameters. All have an upper bound, far above what makes sense: beyond it numbers overflow in
# some library, with a message that names no parameter.
AtLeastTwo = Annotated[int, Interval(ge=2, le=10**9)]
Positive = Annotated[int, Interval(ge=1, le=10**9)]
Count = Annotated[int, Interval(ge=0, le=10**9)]
Seed = Annotated[int, Interval(ge=0, lt=2**32)]
Fraction = Annotated[float, Interval(ge=0, lt=1)]
OpenFraction = Annotated[float, Interval(gt=0, lt=1)]
ZeroToOne = Annotated[float, Interval(ge=0, le=1)]
Share = Annotated[float, Interval(gt=0, le=1)]
Rate = Annotated[float, Interval(gt=0, le=10**6)]
AtLeastOne = Annotated[float, Interval(ge=1, le=10**6)]
NonNegative = Annotated[float, Interval(ge=0, le=10**6)]
Side = Annotated[int, Interval(ge=1, le=4096)]  # of an image, in pixels
Padding = Annotated[int, Interval(ge=0, le=256)]
Width = Annotated[int, Interval(ge=1, le=1024)]  # of a layer
Text = Annotated[str, Len(1, 4096)]


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    where: str  # module:attribute
    title: str  # what tables and figures call it
    parameters: Mapping[str, Any] = field(default_factory=dict)  # by name, their types in params.yaml

    def load(self) -> Any:
        """Return what the name stands for."""
        module, attribute = self.where.split(":")
        return getattr(import_module(module), attribute)


Table = Mapping[str, Entry]

#: The type of a parameter that is the definition of a sampler, as of a head, or null.
SAMPLER = "sampler"


def _schedule() -> Mapping[str, Any]:
    """Return the parameters of a head that is trained by a schedule of its own."""
    return {
        "epochs": Positive,
        "learning_rate": Rate,
        "weight_decay": NonNegative,
        "warmup_epochs": Count,
        "milestones": tuple[Positive, ...],
    }


#: Sources of images: called with the folder of raw downloads and their parameters, they return an
#: `eos.data.image_dataset.ImageDataset`.
SOURCES: Table = {
    "digits": Entry("eos.data.digits:digits", "Digits", {"test_per_class": Positive, "seed": Seed}),
    "torchvision": Entry(
        "eos.data.torchvision_datasets:torchvision_dataset",
        "torchvision",
        {"dataset": Literal["cifar10", "cifar100", "svhn", "celeba"], "balance_test": bool, "seed": Seed},
    ),
    "folder": Entry(
        "eos.data.image_folder:image_folder",
        "Folder",
        {
            "path": Text,
            "image_size": Side,
            "channels": Literal[1, 3],
            "test_fraction": OpenFraction,
            "seed": Seed,
            "train_per_class": Positive | None,
            "test_per_class": Positive | None,
        },
    ),
}

#: The data sets of the source `torchvision`: called with the folder of raw downloads.
TORCHVISION_DATASETS: Table = {
    "cifar10": Entry("eos.data.torchvision_datasets:cifar10", "CIFAR-10"),
    "cifar100": Entry("eos.data.torchvision_datasets:cifar100", "CIFAR-100"),
    "svhn": Entry("eos.data.torchvision_datasets:svhn", "SVHN"),
    "celeba": Entry("eos.data.torchvision_datasets:celeba", "CelebA"),
}

#: Backbones: called with `channels`, they return an `eos.models.network.Backbone`.
ARCHITECTURES: Table = {
    "resnet8": Entry("eos.models.resnet:resnet8", "ResNet-8"),
    "resnet20": Entry("eos.models.resnet:resnet20", "ResNet-20"),
    "resnet32": Entry("eos.models.resnet:resnet32", "ResNet-32"),
    "resnet56": Entry("eos.models.resnet:resnet56", "ResNet-56"),
    "wideresnet": Entry("eos.models.wideresnet:wideresnet", "WideResNet-22-4"),
    "densenet": Entry("eos.models.densenet:densenet", "DenseNet-40-12"),
    "resnet18": Entry("eos.models.torchvision_resnet:resnet18", "ResNet-18"),
}

#: The architectures that can have two branches, as `TWO_BRANCH_MIXINGS` want them: residual networks whose
#: last block the mean over the image follows; see `eos.models.two_branches`.
TWO_BRANCH_ARCHITECTURES = ("resnet8", "resnet20", "resnet32", "resnet56", "resnet18")

#: Losses: subclasses of `eos.losses.base.Loss`, called with the class counts and their parameters.
LOSSES: Table = {
    "ce": Entry("eos.losses.cross_entropy:CrossEntropy", "CE"),
    "asl": Entry(
        "eos.losses.asymmetric:AsymmetricLoss",
        "ASL",
        {"gamma_positive": NonNegative, "gamma_negative": NonNegative, "label_smoothing": Fraction},
    ),
    "focal": Entry("eos.losses.focal:FocalLoss", "Focal", {"gamma": NonNegative}),
    "ldam": Entry(
        "eos.losses.ldam:LDAMLoss",
        "LDAM",
        {"max_margin": Rate, "scale": Rate, "reweight_from": ZeroToOne, "beta": Fraction},
    ),
    # Also an architecture of its own around the network's, and two stages.
    "oltr": Entry(
        "eos.losses.oltr:OLTRLoss",
        "OLTR",
        {
            "first_stage": Fraction,
            "length": Rate,
            "reach": Rate,
            "largest_reach": Rate,
            "memory_weight": NonNegative,
            "repulsion_weight": NonNegative,
            "margin": NonNegative,
            "backbone_rate": NonNegative,
            "memory_rate": NonNegative,
        },
    ),
    "logit_adjusted": Entry("eos.losses.logit_adjusted:LogitAdjustedLoss", "LA", {"tau": NonNegative}),
    "vector_scaling": Entry(
        "eos.losses.logit_adjusted:VectorScalingLoss", "VS", {"gamma": NonNegative, "tau": NonNegative}
    ),
}

#: The losses that can be trained on mixed labels: those whose `soft_targets` is true.
SOFT_TARGET_LOSSES = ("ce", "logit_adjusted", "vector_scaling")

#: Ways to mix batches: called with their parameters, they return an `eos.training.mixing.Mixing`.
MIXINGS: Table = {
    "bbn": Entry("eos.training.bbn:BBN", "BBN"),
    "mixup": Entry("eos.training.mixing:Mixup", "mixup", {"alpha": Rate}),
    "rebalanced_mixup": Entry(
        "eos.training.mixing:RebalancedMixup",
        "Rebalanced mixup",
        {"alpha": Rate, "kappa": AtLeastOne, "tau": ZeroToOne},
    ),
    "remix": Entry("eos.training.mixing:Remix", "ReMix", {"alpha": Rate}),
}

#: The mixings of images in pairs, one for each branch of a network: those whose `branches` is 2.
TWO_BRANCH_MIXINGS = ("bbn",)

#: What changes the images of a batch beside crops and flips: called with their parameters, they return an
#: `eos.training.policies.Augmentation`.
AUGMENTATIONS: Table = {
    "cutout": Entry("eos.training.policies:Cutout", "Cutout", {"size": Side}),
    "autoaugment": Entry(
        "eos.training.policies:AutoAugment",
        "AutoAugment",
        {"policy": Literal["cifar10", "svhn", "imagenet"]},
    ),
}

#: Samplers of embeddings: functions of features, labels, seed and their parameters; see
#: `eos.samplers.oversampling`.
SAMPLERS: Table = {
    "random": Entry("eos.samplers.oversampling:random", "Random"),
    "smote": Entry("eos.samplers.oversampling:smote", "SMOTE", {"k_neighbors": Positive}),
    "bsmote": Entry(
        "eos.samplers.oversampling:borderline_smote",
        "Borderline-SMOTE",
        {"k_neighbors": Positive, "m_neighbors": Positive},
    ),
    "balsvm": Entry(
        "eos.samplers.oversampling:balanced_svm",
        "Balanced SVM",
        {"k_neighbors": Positive, "relabel": Literal["synthetic", "all"]},
    ),
    "adasyn": Entry("eos.samplers.oversampling:adasyn", "ADASYN", {"n_neighbors": Positive}),
    "tailcalib": Entry(
        "eos.samplers.oversampling:tailcalib", "TailCalib", {"n_neighbors": Positive, "alpha": NonNegative}
    ),
    "swim": Entry(
        "eos.samplers.oversampling:swim",
        "SWIM",
        {
            "variant": Literal["mahalanobis", "radial"],
            "spread": Rate,
            "steps": Positive,
            "units": Literal["data", "original"],
            "clip": bool,
        },
    ),
    "manifold": Entry(
        "eos.samplers.oversampling:manifold",
        "Manifold",
        {
            "form": Literal["pca", "autoencoder"],
            "noise": NonNegative,
            "variance": Share,
            "pooled_rows": NonNegative,
            "hidden_share": Share,
            "steps": Positive,
            "per_class": bool,
            "passes": Positive,
            "clip": bool,
        },
    ),
    "rbo": Entry(
        "eos.samplers.oversampling:rbo",
        "RBO",
        {
            "multiclass": Literal["one_vs_rest", "successive"],
            "gamma": Rate,
            "step": Rate,
            "n_steps": Positive,
            "stop_probability": Fraction,
            "n_neighbors": Positive | Literal["all"],
            "units": Literal["data", "original"],
        },
    ),
    "ccr": Entry(
        "eos.samplers.oversampling:ccr",
        "CCR",
        {
            "multiclass": Literal["one_vs_rest", "successive"],
            "energy": Rate,
            "units": Literal["data", "original"],
            "p": Literal[1, 2],
            "selection": Literal["proportional", "random"],
            # Not "remove": the pipeline has a label for every real row.
            "cleaning": Literal["translate", "ignore"],
            "region": Literal["low", "equal", "high"] | None,
            "gamma": Rate,
            "theta": ZeroToOne,
            "n_candidates": Positive,
            "n_neighbors": Positive | Literal["all"],
        },
    ),
    "eos": Entry(
        "eos.samplers.oversampling:eos",
        "EOS",
        {
            "k_neighbors": Positive | Literal["all", "auto"],
            "variant": Literal["toward", "away", "released"],
            "step_size": Share | Literal["auto"],
        },
    ),
}

#: Samplers of images, of their pixels: those of Table I. Balanced SVM needs another form.
PIXEL_SAMPLERS: Table = {
    **{name: SAMPLERS[name] for name in ("random", "smote", "bsmote", "eos")},
    "balsvm": Entry(
        "eos.samplers.pixels:balanced_svm",
        "Balanced SVM",
        {"k_neighbors": Positive, "components": Positive, "svm_rows": Positive},
    ),
}

#: Heads: the network's own classifier; a fresh one on the imbalanced embeddings; one on embeddings that a
#: sampler has balanced.
HEADS: Table = {
    "own": Entry("eos.models.network:Network", "Own classifier"),
    "none": Entry("eos.heads.softmax:fit", "No over-sampling"),
    **SAMPLERS,
}

#: Classifiers that balance nothing before they are fitted: functions of a network's embeddings; see
#: `eos.heads.rivals`. Of a parameter with choices the value alone counts where no rows are held out.
CLASSIFIERS: Table = {
    "ncm": Entry("eos.heads.rivals:ncm", "Nearest class mean"),
    "post_hoc": Entry(
        "eos.heads.rivals:post_hoc",
        "Post-hoc logit adjustment",
        {"tau": NonNegative, "tau_choices": tuple[NonNegative, ...]},
    ),
    "tau_norm": Entry(
        "eos.heads.rivals:tau_norm",
        "Tau-normalization",
        {"tau": NonNegative, "tau_choices": tuple[NonNegative, ...]},
    ),
    "row_scaling": Entry(
        "eos.heads.rivals:row_scaling",
        "Row scaling (RS)",
        {"gamma": NonNegative, "gamma_choices": tuple[NonNegative, ...]},
    ),
    "balanced_softmax": Entry("eos.heads.rivals:balanced_softmax", "Balanced-softmax head"),
    "logit_adjusted_head": Entry(
        "eos.heads.rivals:logit_adjusted",
        "Logit-adjusted head",
        {"tau": NonNegative, "tau_choices": tuple[NonNegative, ...]},
    ),
    "crt": Entry("eos.heads.rivals:crt", "cRT", _schedule()),
    "lws": Entry("eos.heads.rivals:lws", "LWS", _schedule()),
    "logistic": Entry(
        "eos.heads.rivals:logistic",
        "Logistic regression",
        {"C": Rate, "C_choices": tuple[Rate, ...], "sampler": SAMPLER},
    ),
    "eos_cv": Entry(
        "eos.heads.rivals:eos_cv",
        "EOS, tuned",
        {
            "k_neighbors": Positive | Literal["all"],
            "k_neighbors_choices": tuple[Positive | Literal["all"], ...],
            "step_size": Share | Literal["auto"],
            "step_size_choices": tuple[Share | Literal["auto"], ...],
        },
    ),
}

#: Generative over-samplers: called with the images, a random generator and their parameters, they return an
#: `eos.generators.base.Model`.
GENERATORS: Table = {
    "gamo": Entry(
        "eos.generators.gamo:Gamo",
        "GAMO",
        {"epochs": Count, "batch_size": AtLeastTwo, "learning_rate": Rate, "latent_size": Width},
    ),
    "bagan": Entry(
        "eos.generators.bagan:Bagan",
        "BAGAN",
        {
            "autoencoder_epochs": Count,
            "epochs": Count,
            "batch_size": AtLeastTwo,
            "learning_rate": Rate,
            "autoencoder_learning_rate": Rate,
            "latent_size": Width,
            "width": Width,
            "prior_size": Rate,
        },
    ),
    "cgan": Entry(
        "eos.generators.cgan:Cgan",
        "CGAN",
        {
            "steps": Count,
            "batch_size": AtLeastTwo,
            "learning_rate": Rate,
            "latent_size": Width,
            "width": Width,
        },
    ),
    "deepsmote": Entry(
        "eos.generators.deepsmote:DeepSmote",
        "DeepSMOTE",
        {
            "epochs": Count,
            "batch_size": AtLeastTwo,
            "learning_rate": Rate,
            "latent_size": Width,
            "width": Width,
            "k_neighbors": Positive,
            "form": Literal["paper", "released"],
        },
    ),
}

#: The images that the generative models can draw.
SMALLEST_SIDE, LARGEST_SIDE = 8, 64
GENERATOR_SIDES = f"a multiple of 4 from {SMALLEST_SIDE} to {LARGEST_SIDE}"


def fits_generators(side: int) -> bool:
    """Return whether the generative models can draw square images of this side."""
    return side % 4 == 0 and SMALLEST_SIDE <= side <= LARGEST_SIDE


#: Titles of networks and heads that are named after several things, or after what a parameter makes of one.
COMBINED = {
    "la": "LA",
    "vs": "VS",
    "ce_drs": "CE-DRS",
    "ce_mixup": "CE + mixup",
    "ce_rebalanced_mixup": "CE + rebalanced mixup",
    "la_mixup": "LA + mixup",
    "la_mixup_cutout": "LA + mixup + Cutout",
    "la_mixup_autoaugment": "LA + mixup + AutoAugment",
    "swim_radial": "SWIM, radial",
    "manifold_dae": "Manifold, auto-encoder",
    "mc_rbo": "MC-RBO",
    "ccr_ignore": "CCR, real rows stay",
    "mc_ccr": "MC-CCR",
    "rb_ccr": "RB-CCR",
}


def find(table: Table, name: str, *, what: str) -> Entry:
    """Return the entry of a name, or raise the `InputError` that says `what` is unknown."""
    if name not in table:
        raise unknown_name(name, table, what=what, place=f"{what}{'es' if what.endswith('s') else 's'}")
    return table[name]


def display_name(name: str) -> str:
    """Return what tables call a data set, network, head, sampler or generator; else the name itself."""
    tables = (SOURCES, TORCHVISION_DATASETS, LOSSES, ARCHITECTURES, MIXINGS, HEADS, CLASSIFIERS, GENERATORS)
    return next((table[name].title for table in tables if name in table), COMBINED.get(name, name))
