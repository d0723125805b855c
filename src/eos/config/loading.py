"""Reading `params.yaml`: as a whole, before anything runs.

An unknown name, a wrong type or a value out of range stops with the offending path and what would be valid.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from eos.config.cells import PORTABLE, architecture, branches, generator_on, sampler_of
from eos.config.schema import Parameters
from eos.errors import InputError, unknown_name
from eos.registry import GENERATOR_SIDES, TWO_BRANCH_ARCHITECTURES, fits_generators


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
        or is out of range, or a name refers to nothing. The first problems are listed, one a line.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no mapping of sections; {_RESTORE}")
    try:
        parameters = Parameters.model_validate(content, context=content)
    except ValidationError as error:
        found = error.errors()
        problems = [_explain(path.name, content, problem) for problem in found[:MOST_PROBLEMS]]
        if more := len(found) - len(problems):  # one mistake, an emptied section say, can be many problems
            problems.append(f"{path.name}: and {more} more")
    else:
        problems = list(_misfits(path.name, content, parameters))
    if problems:
        raise InputError("\n".join(problems))
    return parameters


# Far above what a file of parameters needs, and read in seconds.
LARGEST, MOST_VALUES = 2**20, 100_000
MOST_PROBLEMS, LONGEST_VALUE = 10, 200

_RESTORE = "mend it, or restore the committed one with `git checkout params.yaml`"


def _read(path: Path) -> Any:
    """Return what a YAML file holds, its lists as tuples."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device read without end
            raise InputError(f"{path}: not a file; {_RESTORE}")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST:,} bytes; {_RESTORE}")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run this from the repository's root") from error
    except UnicodeDecodeError as error:
        place = f"byte {error.object[error.start]:#04x} at place {error.start}"
        raise InputError(f"{path}: not UTF-8 text: {place}; save it as UTF-8, or {_RESTORE}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_RESTORE}") from error
    try:
        # DVC's own parser: it writes 5e-05 for 0.00005, which others read as text.
        loaded = YAML(typ="safe", pure=True).load(text)
        return _tuples(loaded, iter(range(MOST_VALUES)), ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        told = (error.problem or error.context or "").splitlines()
        raise InputError(f"{path}: not valid YAML: {at}{''.join(told[:1])}; {_RESTORE}") from error
    except RecursionError as error:
        raise InputError(f"{path}: not valid YAML: nested too deeply; {_RESTORE}") from error
    except (YAMLError, ValueError, TypeError) as error:
        told = str(error).splitlines()
        raise InputError(f"{path}: not valid YAML: {''.join(told[:1])}; {_RESTORE}") from error


def _tuples(value: Any, left: Iterator[int], within: tuple[int, ...]) -> Any:
    """Turn YAML's lists into tuples: the strict frozen models hold nothing that can change.

    An alias (`*name`) is one object in several places. `left` yields once for each value that there may be,
    which ends aliases that multiply; `within` holds the ids of what the value is inside of.
    """
    if next(left, None) is None:
        raise ValueError(f"more than {MOST_VALUES:,} values, with what aliases (`*name`) repeat")
    if id(value) in within:
        raise ValueError("an alias (`*name`) stands inside of what it names")
    inside = (*within, id(value))
    if isinstance(value, dict):
        return {key: _tuples(item, left, inside) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item, left, inside) for item in value)
    return value


def _brief(value: Any) -> Any:
    """Return a value that a message can show on one line: lists as YAML's, what is long as its beginning."""
    value = list(value) if isinstance(value, tuple) else value
    try:
        told = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return value if len(told) <= LONGEST_VALUE else f"{str(value)[:LONGEST_VALUE]}…"


def _explain(file: str, content: Any, problem: Any) -> str:
    """Return a problem that pydantic found in the content of a file, as a person would tell it."""
    kind, context, keys = problem["type"], problem.get("ctx", {}), problem["loc"]
    value = _brief(problem["input"])
    place = ": ".join(filter(None, (file, _place(content, keys, missing=kind == "missing"))))
    match kind:
        case "missing" if isinstance(keys[-1], int):
            return f"{place}: {value!r} is not possible: it has too few values"
        case "missing":
            return f"{place}: this key is missing; add it, as `git show HEAD:params.yaml` has it"
        case "unknown_key":
            return str(unknown_name(_brief(context["key"]), context["known"], what="key", place=place))
        case "unknown_name":
            known = [str(key) for table in context["tables"] for key in table]
            return str(unknown_name(value, known, what=context["what"], place=place))
        case "literal_error":
            return str(unknown_name(value, _listed(context["expected"]), what="value", place=place))
        case "union_tag_invalid":
            known, tag = _listed(context["expected_tags"]), context["discriminator"].strip("'")
            return str(unknown_name(_brief(context["tag"]), known, what="value", place=f"{place}.{tag}"))
        case "union_tag_not_found":
            either = ", or 'classifier'" if keys[-1] == "has a sampler" else ""
            missing = f"the key {context['discriminator']} is missing{either}"
            return f"{place}: {missing}; it says which definition this is"
        case "string_type" if isinstance(value, int | float):
            return f"{place}: {value!r} is a number; a name is text: quote it, or choose another"
        case "string_pattern_mismatch":
            rule = "must begin with a letter and hold only a-z, 0-9 and '_' (DVC joins names by '-')"
            return f"{place}: the name {value!r} {rule}"
    if kind in _SHAPES:
        return f"{place}: {value!r} is not possible: {_SHAPES[kind].format(**context)}"
    told = problem["msg"].removeprefix("Value error, ").replace("Input", "it", 1)[: 2 * LONGEST_VALUE]
    return (
        f"{place}: {told}"
        if isinstance(problem["input"], dict)
        else f"{place}: {value!r} is not possible: {told}"
    )


# Of a value's shape, by pydantic's name for the problem.
_SHAPES = {
    "tuple_type": "it should be a list",
    "too_long": "give {max_length} values at most",
    "model_type": "it should be a mapping of keys",
    "model_attributes_type": "it should be a mapping of keys",
    "dict_type": "it should be a mapping of keys",
}


def _place(content: Any, keys: tuple[int | str, ...], *, missing: bool) -> str:
    """Return the keys that lead to a value; those that pydantic adds, as a choice's name, are left out."""
    if keys[-1:] == ("[key]",):  # it is about a key, which the message tells
        keys = keys[:-2]
    place = ""
    for key in keys:
        if isinstance(content, dict) and key in content:
            plain = isinstance(key, str) and re.fullmatch(r"[ -~]{1,100}", key)
            place += f".{key if plain else repr(_brief(key))}"
        elif isinstance(content, tuple) and key in range(len(content)):
            place += f"[{key}]"
        else:
            continue
        content = content[key]
    if missing and isinstance(keys[-1], str):
        place += f".{keys[-1]}"
    return place.removeprefix(".")


def _listed(told: str) -> list[str]:
    return [name.strip("'") for name in re.split(", | or ", told)]


def _misfits(file: str, content: Any, parameters: Parameters) -> Iterator[str]:
    """Yield what does not go together, each value by itself being possible."""
    for name in parameters.datasets:
        yield from _misfits_of_dataset(file, content, parameters, name)
    for index, head in enumerate(parameters.tables.table4.heads):
        if sampler_of(parameters, head) != "eos":
            yield (
                f"{file}: tables.table4.heads[{index}]: {head!r} is no EOS head, and Table IV compares EOS "
                "by its number of neighbours; name heads with `sampler: eos`"
            )
    for name, head in parameters.heads.items():
        balanced = getattr(head, "sampler", None) if hasattr(head, "classifier") else head
        neighbors = getattr(balanced, "k_neighbors", None)
        if neighbors in ("all", "auto") and getattr(balanced, "variant", None) == "released":
            yield (
                f"{file}: heads.{name}: variant 'released' needs a number of neighbours, but k_neighbors is "
                f"{neighbors!r}; give a number, or set variant to toward"
            )
    for name in sorted(set(parameters.datasets) & set(parameters.embeddings)):
        yield (
            f"{file}: embeddings.{name}: a data set of images has this name, and their results could not be "
            "told apart; give one of them another name"
        )
    for name in sorted(set(parameters.axes.pixel_samplers) & set(parameters.axes.generators)):
        yield (
            f"{file}: axes: {name!r} is both a pixel sampler and a generator, and tables could not tell them "
            "apart; give one of them another name"
        )
    if parameters.selection == "validation" and parameters.split.validation_fraction == 0:
        yield (
            f"{file}: selection 'validation' needs held-out images, but split.validation_fraction is 0; "
            "set it to 0.1, say"
        )


# How many channels the images of a source have, where its definition does not say it.
_CHANNELS = {"digits": 1, "torchvision": 3}


def _misfits_of_dataset(file: str, content: Any, parameters: Parameters, name: str) -> Iterator[str]:
    dataset = parameters.datasets[name]
    source, given = dataset.source, dataset.normalization
    place = f"{file}: datasets.{name}"
    for generator in dataset.generators:
        try:
            generator_on(parameters, name, generator)
        except ValidationError as error:
            for problem in error.errors():
                keys = ("datasets", name, "generators", generator, *problem["loc"])
                yield _explain(file, content, {**problem, "loc": keys})
    channels = getattr(source, "channels", _CHANNELS.get(source.name))
    if given and channels and len(given.mean) != channels:
        yield (
            f"{place}.normalization: values for {len(given.mean)} channel(s), but images of this source have "
            f"{channels}; give {channels} of each, or null to compute them"
        )
    for key, (fixed, other) in PORTABLE.items() if dataset.portable else ():
        own = getattr(dataset.training, key, None)
        value = getattr(parameters.training, key) if own is None else own
        if value not in (fixed, other):
            section = "training" if own is None else f"datasets.{name}.training"
            yield (
                f"{file}: {section}.{key}: {value!r} is not possible for {name!r}, which is portable; set it "
                f"to {'null' if other is None else other}, or datasets.{name}.portable to false"
            )
    axes = parameters.axes
    networks = (*axes.networks, *axes.pixel_networks, *axes.generator_networks)
    for network in dict.fromkeys(networks) if name in axes.datasets else ():
        chosen = architecture(parameters, name, network).name
        if branches(parameters, network) == 2 and chosen not in TWO_BRANCH_ARCHITECTURES:
            own = parameters.networks[network].architecture
            section = f"networks.{network}" if own else f"datasets.{name}"
            yield (
                f"{file}: {section}.architecture: {chosen!r} cannot have the two branches that "
                f"networks.{network}.mixing is for; set networks.{network}.architecture to "
                f"{' or '.join(TWO_BRANCH_ARCHITECTURES)}, or take {network} off the axes"
            )
    generated = name in parameters.axes.datasets and parameters.axes.generators
    if source.name == "folder" and generated and not fits_generators(source.image_size):
        yield (
            f"{place}.source.image_size: {source.image_size} does not suit the generators of "
            f"axes.generators, which need {GENERATOR_SIDES}; change it, or set axes.generators to []"
        )
