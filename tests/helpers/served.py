"""A server of predictions at work, for the tests of `ldl-fer serve`."""

import contextlib
import threading

from helpers.color_model import CornerDetector, color_model

from ldl_fer.inference.predict.predictor import Predictor
from ldl_fer.inference.serve.server import server


@contextlib.contextmanager
def serving(limits=None, **settings):
    """Yields the port of a server; `settings` are those of its predictor."""
    predictor = Predictor(color_model(), CornerDetector(), **settings)
    with server(predictor, 0, limits) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made.server_address[1]
        finally:
            made.shutdown()
            thread.join()
