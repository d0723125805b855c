"""Reading `params.yaml`: as a whole, before anything runs.

An unknown name, a wrong type or a value out of range stops with the offending path and what would be valid.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eos.config.cells import PORTABLE, generator_on
from eos.config.schema import Parameters
from eos.errors import InputError, unknown_name
from eos.registry import GENERATOR_SIDES, fits_generators


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


# The keys of axes, tables and figures whose values are names, and of what.
_NAMES = {
    "datasets": "dataset",
    "network": "network",
    "networks": "network",
    "pixel_networks": "network",
    "generator_networks": "network",
    "remix": "network",
    "head": "head",
    "heads": "head",
    "pixel_samplers": "pixel sampler",
    "generators": "generator",
}


def _check_references(path: Path, parameters: Parameters) -> None:
    """Raise `InputError` for names that refer to no definition, and for values that do not go together."""
    problems = [str(error) for error in _unknown_names(path, parameters)]
    for name, dataset in parameters.datasets.items():
        for generator in dataset.generators:
            if generator not in parameters.generators:
                continue
            try:
                generator_on(parameters, name, generator)
            except ValidationError as error:
                keys = ("datasets", name, "generators", generator)
                problems += [
                    _explain(path, {**one, "loc": (*keys, *one["loc"][1:])}) for one in error.errors()
                ]
    for index, head in enumerate(parameters.tables.table4.heads):
        if head in parameters.heads and parameters.heads[head].sampler != "eos":
            problems.append(
                f"{path.name}: tables.table4.heads[{index}]: {head!r} is no EOS head, and Table IV compares "
                "EOS by its number of neighbours; name heads with `sampler: eos`"
            )
    problems += _unsuitable_datasets(path, parameters)
    if parameters.selection == "validation" and parameters.split.validation_fraction == 0:
        problems.append(
            f"{path.name}: selection 'validation' needs held-out images, but split.validation_fraction is 0; "
            "set it to 0.1, say"
        )
    if problems:
        raise InputError("\n".join(problems))


def _unknown_names(path: Path, parameters: Parameters) -> Iterator[InputError]:
    """Yield an error for every name that refers to no definition."""
    known: dict[str, Any] = {
        kind: getattr(parameters, f"{kind.replace(' ', '_')}s") for kind in set(_NAMES.values())
    }
    named: list[tuple[str, str, Any]] = []
    for section in ("axes", "tables", "figures"):
        content = getattr(parameters, section).model_dump()
        parts = {section: content} if section == "axes" else {f"{section}.{k}": v for k, v in content.items()}
        for place, values in parts.items():
            named += [(f"{place}.{key}", _NAMES[key], values[key]) for key in values if key in _NAMES]
    for name, network in parameters.networks.items():
        named.append((f"networks.{name}.heads", "head", network.heads))
    for name, dataset in parameters.datasets.items():
        named.append((f"datasets.{name}.generators", "generator", tuple(dataset.generators)))
    named.append(("figures.figure6.classes", "dataset", tuple(parameters.figures.figure6.classes)))
    for place, kind, value in named:
        single = isinstance(value, str)
        for index, name in enumerate([value] if single else value):
            if name not in known[kind]:
                where = f"{path.name}: {place}" + ("" if single else f"[{index}]")
                yield unknown_name(name, known[kind], what=kind, place=where)


def _unsuitable_datasets(path: Path, parameters: Parameters) -> list[str]:
    """Return what is wrong with data sets, each key by itself being possible."""
    problems = []
    for name, dataset in parameters.datasets.items():
        place = f"{path.name}: datasets.{name}"
        channels, given = _channels(dataset.source), dataset.normalization
        if given and len(given.mean) != channels:
            problems.append(
                f"{place}.normalization: values for {len(given.mean)} channel(s), but images of this source "
                f"have {channels}; give {channels} of each, or null to compute them"
            )
        if dataset.portable:
            problems += _unportable(path.name, name, parameters)
        if dataset.source.name != "folder" or name not in parameters.axes.datasets:
            continue
        if parameters.axes.generators and not fits_generators(dataset.source.image_size):
            problems.append(
                f"{place}.source.image_size: {dataset.source.image_size} does not suit the generators of "
                f"axes.generators, which need {GENERATOR_SIDES}; change it, or set axes.generators to []"
            )
    return problems


def _channels(source: Any) -> int:
    """Return how many channels the images of a source have."""
    channels: int = {"digits": 1, "torchvision": 3}.get(source.name) or source.channels
    return channels


def _unportable(file: str, name: str, parameters: Parameters) -> list[str]:
    """Return the settings with which the results of a portable data set would depend on the machine."""
    problems = []
    own = parameters.datasets[name].training
    for key, allowed in PORTABLE.items():
        at_dataset = getattr(own, key, None)
        value = getattr(parameters.training, key) if at_dataset is None else at_dataset
        if value not in allowed:
            place = "training" if at_dataset is None else f"datasets.{name}.training"
            other = "null" if allowed[-1] is None else allowed[-1]
            problems.append(
                f"{file}: {place}.{key}: {value!r} is not possible for {name!r}, which is portable; set it "
                f"to {other}, or datasets.{name}.portable to false"
            )
    return problems
