"""Show the images that a generator made: DATASET CUT GENERATOR -> plots/<dataset>/<generator>-<cut>.png."""

from eos.pipeline.command import run


def main(dataset: str, cut: int, generator: str) -> None:
    """Write a sheet of the first images of each class, real ones and those that were made."""
    from eos.pipeline.paths import PLOTS, generated_file, images_file, split_file
    from eos.registry import display_name
    from eos.report.sheet import sample_sheet
    from eos.storage.files import replacing
    from eos.storage.layouts import IMAGES, SPLIT, SYNTHETIC, read_stored

    made = read_stored(generated_file(dataset, cut, generator), SYNTHETIC, "images", "labels")
    kept = read_stored(split_file(dataset, cut), SPLIT, "train")["train"]
    known = read_stored(images_file(dataset), IMAGES, "train_images", "train_labels", "class_names")
    sheet = sample_sheet(
        (made["images"], made["labels"]),
        (known["train_images"][kept], known["train_labels"][kept]),
        known["class_names"].tolist(),
        title=display_name(generator),
    )
    with replacing(PLOTS / dataset / f"{generator}-{cut}.png") as picture:
        sheet.save(picture, format="png")


if __name__ == "__main__":
    run(main)
