"""Makes records: a data set as TFRecord shards, any sample of which is one read away.

    ldl-fer records --annotations=train.csv --image_dir=images \\
        --output_dir=data/records/train --image_size=48 --num_neighbors=8

The CSV has the columns subDirectory_filePath, expression, valence, arousal and, optionally, knn and
votes_*. Pictures that already are image_size x image_size, 8-bit, gray or RGB, upright JPEG or PNG
are copied byte by byte; others are resized to that square once (their aspect ratio is not kept) and
encoded again. The folder appears when it is complete: it holds .tfrecord files of standard framing,
an offset index beside each, manifest.json, annotations.csv and, where that is less than 2 GiB, all
pictures decoded, which training reads with less work.

`ldl-fer train` and `ldl-fer evaluate` make records themselves when they are given a CSV.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import Config, command_line
from ldl_fer.config.flags import config_from_flags, define_flags_of
from ldl_fer.config.processors import processors
from ldl_fer.config.settings import AUXILIARY_SETTINGS, DataConfig

if TYPE_CHECKING:
    from ldl_fer.data.manifest import Manifest


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    data = DataConfig()
    flags.DEFINE_string("annotations", None, "CSV of the samples.", required=True)
    flags.DEFINE_string("image_dir", None, "Folder that the CSV's paths start from.", required=True)
    flags.DEFINE_string("output_dir", None, "Folder to make.", required=True)
    flags.DEFINE_integer(
        "image_size", data.image_size, "Height and width, pixels; 0 keeps pictures.", 0
    )
    flags.DEFINE_integer("num_neighbors", data.num_neighbors, "K, neighbors per sample.", 0)
    define_flags_of("data", AUXILIARY_SETTINGS)
    flags.DEFINE_list("class_names", list(data.class_names), "Names in the order of `expression`.")
    flags.DEFINE_integer("shard_megabytes", 150, "Largest size of a .tfrecord, MB.", 1)
    flags.DEFINE_integer("workers", processors(), "Threads that read and convert pictures.", 1)
    flags.DEFINE_bool("overwrite", False, "Replace records that are in --output_dir already.")


def main() -> None:
    from ldl_fer.data.annotations import read_annotations
    from ldl_fer.data.auxiliary import auxiliary_space, reads_plane, space_identity
    from ldl_fer.data.manifest import check_free
    from ldl_fer.data.paths import check_data, check_images

    settings, data = flags.FLAGS, config_from_flags(Config(), AUXILIARY_SETTINGS).data
    check_data(settings.annotations)
    check_images(settings.annotations, settings.image_dir)
    check_free(Path(settings.output_dir), settings.overwrite)
    wanted = settings.num_neighbors > 0
    space = space_identity(data, settings.annotations) if wanted else {}
    annotations = read_annotations(
        settings.annotations,
        settings.image_dir,
        tuple(settings.class_names),
        settings.num_neighbors + 1,
        decode=False,
        plane=wanted and reads_plane(data),
    )
    auxiliary = auxiliary_space(annotations, data, settings.annotations) if space else None

    from ldl_fer.data.neighbors import neighbors_of
    from ldl_fer.data.record_writer import write_records

    manifest = write_records(
        annotations,
        settings.image_dir,
        settings.output_dir,
        image_size=settings.image_size,
        neighbors=neighbors_of(annotations, settings.num_neighbors, auxiliary),
        auxiliary=auxiliary,
        space=space,
        shard_bytes=settings.shard_megabytes * 1_000_000,
        workers=settings.workers,
        overwrite=settings.overwrite,
    )
    print(_summary(manifest, settings.output_dir))


def _summary(manifest: "Manifest", folder: str) -> str:
    size = f"{manifest.image_size}x{manifest.image_size} pixels" if manifest.image_size else "as is"
    megabytes = sum(shard.bytes for shard in manifest.shards) / 1e6
    counts = zip(manifest.class_names, manifest.class_counts, strict=True)
    where = f" by {manifest.space['auxiliary']}" if manifest.space else ""
    return "\n".join(
        [
            f"{folder}: {manifest.count} samples, {manifest.num_neighbors} neighbors each{where}",
            f"  images   {size}, {manifest.images_copied} copied, "
            f"{manifest.count - manifest.images_copied} re-encoded",
            f"  shards   {len(manifest.shards)}, {megabytes:.1f} MB",
            f"  classes  {', '.join(f'{name} {count}' for name, count in counts)}",
            f"  votes    {'yes' if manifest.has_votes else 'none'}",
        ]
    )
