"""The flags of `ldl-fer affect`, by command."""

from absl import flags

from ldl_fer.affect import BATCH_SIZE
from ldl_fer.affect.model_spec import CHANNELS, LAYOUTS
from ldl_fer.command_help import subject
from ldl_fer.config_flags import define_flags
from ldl_fer.settings import CLASS_NAMES, TRUST_HELP

COMMANDS = ("predict", "train", "prototypes")
SPEC_FLAGS = (
    *("image_size", "channels", "layout", "scale", "offset", "mean", "std"),
    *("outputs", "columns", "tanh", "output_scale"),
)
_UNUSED = (  # settings that `train_regressor` does not look at
    *("num_neighbors", "select_on_test", "micro_batch_size", "strategy", "checkpoint_every"),
    *("jit", "pictures", "sync_batch_norm"),
)


def define_command_flags(command: str | None) -> None:
    """Those of the command; of none, if there is none."""
    if command == "train":
        define_flags("data", "augmentation", "network", "optimizer", "run", without=_UNUSED)
        with subject("data"):
            flags.DEFINE_string("test_data_path", "", "CSV (or shards) to measure the result on.")
            flags.DEFINE_string("test_image_dir", "", "Folder that its paths start from.")
        return
    if command is None:
        return
    with subject("files"):
        flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
        flags.DEFINE_string("image_dir", None, "Folder that its paths start from.", required=True)
        flags.DEFINE_string("output", None, "CSV to write.", required=True)
        flags.DEFINE_bool("overwrite", False, "Replace values that are there, too.")
    if command == "prototypes":
        _define_prototype_flags()
    else:
        _define_model_flags()


def _define_prototype_flags() -> None:
    with subject("classifier"):
        flags.DEFINE_string(
            "classifier", None, "Run of ldl-fer train, or exported SavedModel.", required=True
        )
        flags.DEFINE_string(
            "from_csv", None, "CSV whose class means take the prototypes' place; classes as there."
        )
        flags.DEFINE_integer("batch_size", BATCH_SIZE, "Pictures per call of the model.", 1)


def _define_model_flags() -> None:
    with subject("files"):
        flags.DEFINE_list(
            "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
        )
    with subject("model"):
        flags.DEFINE_string(
            "model", None, "Run of `affect train`, .onnx, .h5, .keras or SavedModel.", required=True
        )
        flags.DEFINE_bool("trust_model", False, TRUST_HELP)
        flags.DEFINE_string("spec", None, "JSON with what the flags below say; they override it.")
        flags.DEFINE_integer("batch_size", BATCH_SIZE, "Pictures per call of the model.", 1)
    with subject("what goes into the model"):
        flags.DEFINE_integer(
            "image_size", None, "Height and width of the input, pixels. (default: as the file says)"
        )
        flags.DEFINE_enum("channels", None, CHANNELS, "Order of the colors. (default: RGB)")
        flags.DEFINE_enum(
            "layout",
            None,
            LAYOUTS,
            "Order of the input's axes. (default: as the file's shape shows)",
        )
        for name, text, default in (
            ("scale", "Factor of pixels, such as 1/255.", 1),
            ("offset", "Added then.", 0),
            ("mean", "Subtracted then.", 0),
            ("std", "Divisor then.", 1),
        ):
            text += " One number, or three in the order of --channels."
            flags.DEFINE_list(name, None, f"{text} (default: {default})")
    with subject("what comes out of the model"):
        flags.DEFINE_list(
            "outputs",
            None,
            "Output with both, or outputs of valence and arousal. (default: the only)",
        )
        flags.DEFINE_list(
            "columns", None, "Columns of valence and arousal, from 0, or from the end: -2,-1."
        )
        flags.DEFINE_bool("tanh", None, "Apply tanh to the output. (default: no)")
        flags.DEFINE_float(
            "output_scale",
            None,
            "Factor of the output, before tanh: 0.1 for -10..10. (default: 1)",
        )
