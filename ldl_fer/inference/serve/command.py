"""Shows a network at work: a page on this machine for photos and the camera's picture.

    ldl-fer serve checkpoints/mine --detector=yunet.onnx

Open the address that is printed. No picture leaves this machine, and none is kept. Programs post a
picture to /predict and get JSON:

    curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/predict

End it by ^C.
"""

import sys

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.errors import InputError
from ldl_fer.inference.predict.predictor_flags import define_predictor_flags, predictor_of_flags


def run() -> None:
    """Starts `ldl-fer serve`."""
    command_line.start(main, _define_flags, __doc__, positional="the model")


def _define_flags() -> None:
    with subject("server"):
        flags.DEFINE_integer("port", 8000, "Of the address; 0: any that is free.", 0, 65535)
    define_predictor_flags()


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise InputError("give the model: ldl-fer serve RUN, or the folder of an export.")
    from ldl_fer.data.paths import check_files

    given = flags.FLAGS
    check_files(given.affect)
    from ldl_fer.inference.serve.server import HOST, server

    predictor, _ = predictor_of_flags(given, arguments[0])
    for note in predictor.notes:
        print(f"note: {note}", file=sys.stderr)
    with server(predictor, given.port) as serving:
        print(f"http://{HOST}:{serving.server_port}/ (end it by ^C)", flush=True)
        serving.serve_forever()
