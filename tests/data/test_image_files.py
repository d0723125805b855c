"""Image files of any common format become square arrays."""

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eos.data import image_files
from eos.data.image_files import read_images, read_paths
from eos.errors import InputError

GRADIENT = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
COLOURS = np.stack([GRADIENT, GRADIENT.T, np.full_like(GRADIENT, 200)], axis=-1)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(content: bytes, image_size: int = 8, channels: int = 3) -> np.ndarray:
    images = read_images([("cat.png", lambda: content)], image_size=image_size, channels=channels)
    assert images.shape == (1, image_size, image_size, channels)
    assert images.dtype == np.uint8
    return images[0]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "TGA", "PCX"])
def test_exact_formats(kind: str) -> None:
    assert np.array_equal(read(encoded(Image.fromarray(COLOURS), kind)), COLOURS)


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {}), ("GIF", {})]
)
def test_lossy_formats(kind: str, options: dict[str, int]) -> None:
    smooth = Image.fromarray(COLOURS).resize((64, 64))
    difference = read(encoded(smooth, kind, **options), 64).astype(int) - np.asarray(smooth)
    assert np.abs(difference).mean() < 8


def test_grey_and_colour() -> None:
    grey = encoded(Image.fromarray(GRADIENT), "PNG")
    assert np.array_equal(read(grey, channels=1)[..., 0], GRADIENT)
    assert np.array_equal(read(grey), np.repeat(GRADIENT[..., np.newaxis], 3, axis=-1))
    luma = COLOURS @ [0.299, 0.587, 0.114]  # ITU-R 601
    assert np.abs(read(encoded(Image.fromarray(COLOURS), "PNG"), channels=1)[..., 0] - luma).max() <= 1


def test_transparency_is_dropped_and_a_palette_looked_up() -> None:
    opaque = Image.fromarray(COLOURS)
    opaque.putalpha(7)
    assert np.array_equal(read(encoded(opaque, "PNG")), COLOURS)
    palette = Image.fromarray(COLOURS).quantize(64)
    assert np.array_equal(read(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_keeps_its_range(kind: str) -> None:
    deep = GRADIENT.astype(np.uint16) * 257  # 0 to 65535
    assert np.array_equal(read(encoded(Image.fromarray(deep), kind), channels=1)[..., 0], GRADIENT)


def test_pixels_without_a_known_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"cat\.png: pixels of 32 bits"):
        read(encoded(Image.fromarray(GRADIENT.astype(np.float32)), "TIFF"))


def test_an_image_is_turned_as_its_exif_data_say() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the right side came up: turn clockwise
    content = encoded(Image.fromarray(COLOURS), "PNG", exif=exif)
    assert np.array_equal(read(content), np.rot90(COLOURS, -1))


@pytest.mark.parametrize("turned", [False, True])
def test_the_square_in_the_middle_is_resized_with_antialiasing(turned: bool) -> None:
    """Stripes of one pixel become even grey; the ends of the longer side, 16 pixels each, are gone."""
    pixels = np.zeros((40, 72), dtype=np.uint8)
    pixels[::2] = 200
    pixels[:, :5] = pixels[:, -5:] = 255  # farther off than the filter of 10 pixels each way sees
    image = read(encoded(Image.fromarray(pixels.T if turned else pixels), "PNG"), 4, 1)[..., 0]
    assert np.abs(image.astype(int) - 100).max() <= 6
    # An image of 8 x 8 blocks, brought to 8 x 8, gives back a value per block where the filter sees one.
    blocks = np.kron(GRADIENT, np.ones((32, 32), dtype=np.uint8))
    small = read(encoded(Image.fromarray(blocks), "PNG"), 8, 1)[..., 0]
    assert np.abs(small[1:-1, 1:-1].astype(int) - GRADIENT[1:-1, 1:-1]).max() <= 2


def test_a_small_image_is_enlarged() -> None:
    assert np.all(read(encoded(Image.new("RGB", (2, 3), (9, 8, 7)), "PNG"), 16) == [9, 8, 7])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image at all",
        encoded(Image.fromarray(COLOURS), "PNG")[:60],
        encoded(Image.fromarray(COLOURS).resize((64, 64)), "JPEG")[:500],
        encoded(Image.fromarray(COLOURS), "EPS"),  # Pillow would start a program to draw it
    ],
)
def test_what_is_no_sound_image_is_named(content: bytes) -> None:
    with pytest.raises(
        InputError, match=r"^1 of 1 images cannot be read; repair or remove them:\n  cat\.png: .+"
    ):
        read(content)


def test_an_unknown_format_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"of none of the known formats: AVIF, BMP, "):
        read(b"no image at all")


def test_damage_anywhere_gives_an_array_or_the_one_error() -> None:
    """Pillow's decoders raise many kinds of errors."""
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"):
        content = encoded(Image.fromarray(COLOURS), kind)
        for _ in range(40):
            damaged = bytearray(content)
            for place in random.integers(0, len(content), 3):
                damaged[place] = random.integers(256)
            with suppress(InputError):
                read(bytes(damaged))


def test_files_are_read_and_the_bad_ones_told_by_row(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(encoded(Image.fromarray(COLOURS), "PNG"))
    (tmp_path / "notes.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**28 + 1)  # sparse: it takes no room
    names = ["notes.txt", "good.png", "missing.png", "pipe.png", "huge.png", ".", "good.png"]
    images, bad = read_paths([tmp_path / name for name in names], image_size=8, channels=3)
    assert images.shape == (7, 8, 8, 3)
    assert np.array_equal(images[[1, 6]], [COLOURS, COLOURS])
    assert not images[[*bad]].any()
    assert {row: reason.split(":")[0] for row, reason in bad.items()} == {
        0: "of none of the known formats",
        2: "No such file or directory",
        3: "neither a file nor a link to one",
        4: "268435457 bytes are more than the 268435456 that are read of an image",
        5: "neither a file nor a link to one",
    }


def test_an_image_of_too_many_pixels_is_refused_before_they_are_read() -> None:
    """It has none, so reading them would be another error."""
    sizes = struct.pack(">IIBBBBB", 12_900, 12_900, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", sizes), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    with pytest.raises(InputError, match=r"166410000 pixels\) exceeds limit"):
        read(png)


@pytest.mark.parametrize("image_size", [0, 4097, 10**9])
def test_an_image_size_out_of_range_is_refused(image_size: int) -> None:
    with pytest.raises(InputError, match=f"image_size {image_size}: images can have 1 to 4096 pixels"):
        read_images([], image_size=image_size, channels=3)


def test_more_images_than_memory_holds_are_refused() -> None:
    with pytest.raises(InputError, match="10000000 images of image_size 4096 do not fit into memory"):
        read_images([("", bytes)] * 10**7, image_size=4096, channels=3)


def test_long_work_tells_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = encoded(Image.fromarray(COLOURS), "PNG")
    ticks = iter(range(0, 1000, 4))  # every image takes four seconds
    monkeypatch.setattr(image_files.time, "monotonic", lambda: next(ticks))
    read_images([(f"{index}", lambda: content) for index in range(8)], image_size=8, channels=1)
    # A line when ten seconds have passed since the last one.
    assert capsys.readouterr().out.splitlines() == ["3/8 images read  20 s left", "6/8 images read  8 s left"]
    monkeypatch.setattr(image_files.time, "monotonic", lambda: 0.0)
    read(content)
    assert capsys.readouterr().out == ""
