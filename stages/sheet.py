"""Show the images that a generator made: DATASET CUT GENERATOR -> plots/<dataset>/<generator>-<cut>.png."""

from eos.pipeline.command import run


def main(dataset: str, cut: int, generator: str) -> None:
    """Write a sheet of the first images of each class."""
    from eos.pipeline.paths import PLOTS, generated_file, images_file
    from eos.report.sheet import sample_sheet
    from eos.storage.files import replacing
    from eos.storage.layouts import IMAGES, SYNTHETIC, read_stored

    made = read_stored(generated_file(dataset, cut, generator), SYNTHETIC, "images", "labels")
    names = read_stored(images_file(dataset), IMAGES, "class_names")["class_names"]
    sheet = sample_sheet(made["images"], made["labels"], n_classes=len(names))
    with replacing(PLOTS / dataset / f"{generator}-{cut}.png") as picture:
        sheet.save(picture, format="png")


if __name__ == "__main__":
    run(main)
