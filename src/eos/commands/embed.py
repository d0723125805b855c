"""Turn pictures into a file of embeddings.

PICTURES is a folder or an archive (.zip, .tar, ...) with train/<class>/<picture> and, if there is one,
test/<class>/<picture>. FILE is .npz or .safetensors; it holds train_features, train_labels, test_features,
test_labels and class_names. Without test/ there are training rows only.
With --unlabelled the pictures may lie in any folders, and FILE holds features and files.

BACKBONE is torchvision/NAME (resnet50, vit_b_16, ...), timm/NAME (vit_small_patch14_dinov2.lvd142m, ...), or
the folder of a network that this pipeline has trained (models/networks/digits-0/ce). Pictures are resized and
normalised as the library says, or as the network was trained. Weights of a library are downloaded unless
--weights names a file of them.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eos.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor, nn

    from eos.data.archives import Entries
    from eos.data.image_folder import Parts
    from eos.models.network import Network
    from eos.storage.files import Arrays

ENDINGS = (".npz", ".safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pictures", metavar="PICTURES", help="a folder or an archive")
    parser.add_argument("file", type=Path, metavar="FILE", help="what to write: .npz or .safetensors")
    parser.add_argument(
        "--backbone", required=True, help="torchvision/NAME, timm/NAME, or the folder of a trained network"
    )
    parser.add_argument(
        "--unlabelled",
        action="store_true",
        help="PICTURES is a folder of pictures as they come; FILE (.npz) then holds features and files, for "
        "`python -m eos predict`",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights of a library's backbone, in place of a download"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="for a trained network, which needs it: the size of its images",
    )
    parser.add_argument(
        "--selection",
        default="last",
        help="for a trained network: whose epoch, last (default), validation or test",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="pictures in memory at a time (64)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU, if any"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")


def run(arguments: argparse.Namespace) -> None:
    """Write the file.

    Raises
    ------
    InputError
        If the backbone or its weights cannot be used, the pictures are not laid out as they should be, or
        some of them cannot be read: all of these are counted, the first ten named. Nothing is written then.
    """
    import numpy as np

    from eos.data.image_folder import open_tree
    from eos.models.devices import pick_device, pick_precision

    if arguments.file.suffix not in ENDINGS:
        raise InputError(f"{arguments.file}: must end in {' or '.join(ENDINGS)}")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size}: must be 1 or more")
    device = pick_device(arguments.device)
    precision = pick_precision(arguments.precision, device)
    _require(arguments.pictures)  # told before weights are downloaded
    if arguments.file.is_dir():
        raise InputError(f"{arguments.file}: is a folder; name a file to write")
    if arguments.unlabelled:
        _embed_unlabelled(arguments, device.type, precision)
        return
    backbone = _backbone(arguments)
    with open_tree(arguments.pictures) as (place, train, test, entries):
        # A network that was trained on these classes numbers them as its outputs are numbered.
        same = set(backbone.class_names) == set(train)
        names = list(backbone.class_names) if same else sorted(train)
        parts = {"train": train} | ({"test": test} if test else {})
        label_of = {
            part: {file: label for label, one in enumerate(names) for file in tree[one]}
            for part, tree in parts.items()
        }
        files = [file for labels in label_of.values() for file in labels]
        print(f"{place}: {len(files)} images in {len(names)} classes", flush=True)
        # In the archive's order: a compressed one can be read forward only.
        wanted = set(files)
        order = [file for file in entries if file in wanted]
        found = _embedded(
            order, entries, backbone, batch_size=arguments.batch_size, device=device.type, precision=precision
        )
    row_of = {file: row for row, file in enumerate(order)}
    features = {part: found[[row_of[file] for file in labels]] for part, labels in label_of.items()}
    arrays = {f"{part}_features": rows for part, rows in features.items()}
    arrays |= {f"{part}_labels": np.array(list(labels.values())) for part, labels in label_of.items()}
    if same and backbone.network is not None:
        arrays |= _of_the_classifier(backbone.network, features)
    _write(arguments.file, arrays, names)
    told = ", ".join(f"{len(labels)} {part} rows" for part, labels in label_of.items())
    print(f"{arguments.file}: {told} of {found.shape[1]} features, by {arguments.backbone} in {precision}")


def _require(pictures: str) -> None:
    """Raise `InputError` unless there is something."""
    from eos.classifier.pictures import exists

    try:
        found = exists(Path(pictures).expanduser())
    except RuntimeError as error:  # ~ and a name that is no user's
        raise InputError(f"{pictures}: {error}; write the path out") from error
    if not found:
        raise InputError(f"{pictures}: no such folder or archive")


def _embed_unlabelled(arguments: argparse.Namespace, device: str, precision: str) -> None:
    import numpy as np

    from eos.classifier.pictures import find_pictures
    from eos.data.image_files import read_file

    if arguments.file.suffix != ".npz":
        raise InputError(f"{arguments.file}: must end in .npz, for the names of unlabelled pictures")
    files, others = find_pictures([Path(arguments.pictures)])
    print(f"{arguments.pictures}: {len(files)} images; files left out, which are no pictures: {others}")
    entries: Entries = {file.parts: partial(read_file, file) for file in files}
    found = _embedded(
        list(entries),
        entries,
        _backbone(arguments),
        batch_size=arguments.batch_size,
        device=device,
        precision=precision,
    )
    _write(arguments.file, {"features": found, "files": np.array(list(map(str, files)))}, ())
    print(f"{arguments.file}: {len(found)} rows of {found.shape[1]} features, by {arguments.backbone}")


@dataclass(frozen=True)
class _Backbone:
    """What makes an embedding of a picture; of a trained network also the whole, and its classes."""

    module: "nn.Module"
    prepare: "Callable[[Image], Tensor]"  # to (channels, height, width)
    channels: int = 3
    network: "Network | None" = None
    class_names: Sequence[str] = ()


def _backbone(arguments: argparse.Namespace) -> _Backbone:
    library, _, name = arguments.backbone.partition("/")
    if library in {"torchvision", "timm"}:
        if arguments.image_size:
            raise InputError("--image-size: is for a trained network; a library says the size of its own")
        from eos.models.backbones import timm_backbone, torchvision_backbone

        find = timm_backbone if library == "timm" else torchvision_backbone
        found = find(name, arguments.weights)
        return _Backbone(found.module, found.prepare)
    folder = Path(arguments.backbone)
    if not folder.is_dir():
        raise InputError(
            f"--backbone {arguments.backbone}: neither torchvision/NAME nor timm/NAME, nor the folder of a "
            "trained network"
        )
    if arguments.weights or not arguments.image_size:
        raise InputError(
            f"--backbone {folder}: a trained network has weights of its own, and wants --image-size, which "
            "params.yaml has as image_size"
        )
    return _trained(folder, arguments.selection, arguments.image_size)


def _trained(folder: Path, selection: str, image_size: int) -> _Backbone:
    import torch

    from eos.data.image_files import square
    from eos.models.inference import network_input
    from eos.models.saved import load_saved

    saved = load_saved(folder, selection)

    def prepare(image: "Image") -> "Tensor":
        pixels = torch.from_numpy(square(image, image_size).copy())
        return network_input(pixels[None], saved.mean, saved.std)[0]

    return _Backbone(
        saved.network.get_submodule("backbone"), prepare, len(saved.mean), saved.network, saved.class_names
    )


def _embedded(
    files: "Sequence[Parts]",
    entries: "Entries",
    backbone: _Backbone,
    *,
    batch_size: int,
    device: str,
    precision: str,
) -> "np.ndarray":
    """Return the embeddings of files, float32 (n, n_features), in their order."""
    import numpy as np
    import torch

    from eos.data.image_files import Clock, strict, unreadable
    from eos.models.devices import deterministic

    place, module = torch.device(device), backbone.module.eval()
    module.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    features: np.ndarray | None = None
    bad: dict[str, str] = {}
    clock, done = Clock(), 0
    with strict(), deterministic(place), torch.inference_mode():
        for batch in _batches(files, entries, backbone, batch_size, bad):
            if not bad:  # with a bad file nothing is written, and the rest is only looked through
                inputs = torch.stack(batch).to(place, memory_format=torch.channels_last)
                with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
                    made = module(inputs).float().cpu().numpy()
                if features is None:
                    features = np.empty((len(files), made.shape[1]), dtype=np.float32)
                features[done : done + len(made)] = made
            done = min(done + batch_size, len(files))
            if clock.due():
                left = (clock.told - clock.start) / done * (len(files) - done)
                print(f"{done}/{len(files)} images embedded  {left:.0f} s left", flush=True)
    if bad:
        raise unreadable(bad, len(files))
    assert features is not None  # there is a picture of every class
    if broken := int((~np.isfinite(features)).any(axis=1).sum()):
        raise InputError(
            f"the embeddings of {broken} of {len(files)} images are not finite; take --precision fp32, or "
            "other weights"
        )
    return features


def _batches(
    files: "Sequence[Parts]", entries: "Entries", backbone: _Backbone, size: int, bad: dict[str, str]
) -> "Iterator[list[Tensor]]":
    """Yield prepared pictures, the next ones being decoded meanwhile; what cannot be goes to `bad`."""
    from eos.data.image_files import decoded, reason

    def prepared(content: bytes) -> "Tensor":
        return backbone.prepare(decoded(content, backbone.channels))

    def results(ahead: "dict[str, Future[Tensor]]") -> "list[Tensor]":
        made = []
        for name, future in ahead.items():
            try:
                made.append(future.result())
            except Exception as error:  # on damaged files, Pillow's decoders raise errors of many kinds
                bad[name] = reason(error)
        return made

    with ThreadPoolExecutor() as pool:
        ahead: dict[str, Future[Tensor]] = {}
        for start in range(0, len(files), size):
            upcoming: dict[str, Future[Tensor]] = {}
            for file in files[start : start + size]:
                name, read = "/".join(file), entries[file]
                assert read is not None  # it is no folder
                try:
                    upcoming[name] = pool.submit(prepared, read())
                except Exception as error:  # a damaged archive raises errors of many kinds
                    bad[name] = reason(error)
            if start:
                yield results(ahead)
            ahead = upcoming
        yield results(ahead)


def _of_the_classifier(network: "Network", features: "Mapping[str, np.ndarray]") -> "Arrays":
    """Return a network's classifier, and its logits for the features of each part."""
    import torch

    from eos.models.network import classifier_weights

    layer = network.classifier.cpu()
    arrays = {"classifier_weight": classifier_weights(network)}
    if isinstance(layer, torch.nn.Linear):
        arrays["classifier_bias"] = layer.bias.detach().numpy()
    with torch.inference_mode():
        logits = {f"{part}_logits": layer(torch.from_numpy(rows)).numpy() for part, rows in features.items()}
    return arrays | logits


def _write(file: Path, arrays: "Arrays", names: Sequence[str]) -> None:
    import json

    import numpy as np

    from eos.storage.files import replacing, write_arrays

    if file.suffix == ".npz":
        write_arrays(file, arrays | ({"class_names": np.array(names)} if names else {}))
        return
    from safetensors.numpy import save_file

    with replacing(file) as temporary:
        save_file(arrays, temporary, metadata={"class_names": json.dumps(names)})
