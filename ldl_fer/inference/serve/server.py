"""An HTTP server for this machine alone: a page at /, predictions as JSON at /predict.

/predict takes one picture as the body (image/jpeg, ...), or several as multipart/form-data, and
answers

    {"class_names": [...], "pictures": [{"name": ..., "width": ..., "height": ..., "faces": [...]}]}

with faces as `ldl-fer predict` writes them; a picture that cannot be read has "error" in their
place. Other mistakes are {"error": ...} with a status of 400 or more. Nothing is kept.
"""

import contextlib
import email
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from ldl_fer.data.pictures import decoded_image
from ldl_fer.errors import InputError
from ldl_fer.inference.predict.predictor import Predictor
from ldl_fer.inference.predict.records import face_record

HOST = "127.0.0.1"
_LINGER = 5  # seconds that a body which was refused may still arrive
_LOCAL = (HOST, "localhost", "[::1]")
_PAGE = Path(__file__).parent / "page"
_FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css")}
_FILES |= {"/page.js": ("page.js", "text/javascript")}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "media-src blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class Limits:
    """What a request may bring.

    Attributes:
      megabytes: of a request's body.
      pictures: in a request.
      megapixels: of a picture.
    """

    megabytes: int = 20
    pictures: int = 16
    megapixels: int = 50


class Refused(Exception):
    """A request that is not answered: HTTP status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        """Takes the status, 400 or more, and the sentence."""
        super().__init__(text)
        self.status = status


def server(predictor: Predictor, port: int, limits: Limits | None = None) -> ThreadingHTTPServer:
    """Returns a server on this machine's own address; `serve_forever` starts it.

    Args:
      predictor: answers, one request at a time.
      port: 0: any that is free.
      limits: None: the usual ones.

    Raises:
      InputError: the port is taken.
    """
    bounds, lock = limits or Limits(), threading.Lock()

    def answer(name: str, content: bytes) -> dict:
        try:
            with Image.open(io.BytesIO(content)) as header:
                width, height = header.size
            if width * height > bounds.megapixels * 10**6:
                raise ValueError(f"it has more than {bounds.megapixels} megapixels")
            image = decoded_image(content)
            with lock:
                faces = predictor(image)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            return {"name": name, "error": f"cannot be read: {error}"}
        size = {"width": image.shape[1], "height": image.shape[0]}
        return {"name": name, **size, "faces": [face_record(face) for face in faces]}

    def predict(kind: str, body: bytes) -> dict:
        found = pictures_of(kind, body)
        if not 0 < len(found) <= bounds.pictures:
            raise Refused(400, f"send 1 to {bounds.pictures} pictures at a time, not {len(found)}.")
        answers = [answer(name, content) for name, content in found]
        return {"class_names": list(predictor.class_names), "pictures": answers}

    try:
        return _Server((HOST, port), _handler(predict, bounds))
    except OSError as error:
        raise InputError(f"--port={port}: {error.strerror}. Name another.") from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a camera's open connection does not hold the end up


def pictures_of(kind: str, body: bytes) -> list[tuple[str, bytes]]:
    """Returns the name and content of each picture in a request's body.

    Args:
      kind: its Content-Type.
      body: of the request.

    Raises:
      Refused: it is of another type.
    """
    if kind.startswith(("image/", "application/octet-stream")):
        return [("picture", body)]
    if not kind.startswith("multipart/form-data"):
        raise Refused(415, "send a picture (image/jpeg, ...) or several as multipart/form-data.")
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = [part for part in message.walk() if part is not message and not part.is_multipart()]
    found = [(part.get_filename(), part.get_payload(decode=True)) for part in parts]
    return [(name or "picture", data) for name, data in found if isinstance(data, bytes)]


def _handler(predict: Callable[[str, bytes], dict], limits: Limits) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "ldl_fer", ""
        timeout = 60  # seconds that a silent connection stays open

        def do_GET(self) -> None:  # noqa: N802
            self._answer(self._file)

        def do_POST(self) -> None:  # noqa: N802
            self._answer(self._predictions)

        def _answer(self, make: Callable[[], tuple[str, bytes]]) -> None:
            try:
                self._check_origin()
                kind, content = make()
                status = 200
            except Refused as refusal:
                status, kind = refusal.status, "application/json"
                content = json.dumps({"error": str(refusal)}).encode()
                self.close_connection = True  # the body may be unread
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)
            if status != 200:
                self._read_away()

        def _read_away(self) -> None:
            """Reads what is still sent, for some time: else the answer may be lost."""
            end = time.monotonic() + _LINGER
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(_LINGER)
                while time.monotonic() < end and self.connection.recv(1 << 16):
                    pass

        def _check_origin(self) -> None:
            """Refuses pages of other sites, also those whose name leads here."""
            host = self.headers.get("Host", "")
            origin = self.headers.get("Origin")
            if host.rpartition(":")[0] not in _LOCAL and host not in _LOCAL:
                raise Refused(403, f"this server is for {HOST} alone.")
            if origin is not None and urlsplit(origin).netloc != host:
                raise Refused(403, "this server answers its own page alone.")

        def _file(self) -> tuple[str, bytes]:
            if self.path not in _FILES:
                raise Refused(404, "there are / and /predict.")
            name, kind = _FILES[self.path]
            return kind, (_PAGE / name).read_bytes()

        def _predictions(self) -> tuple[str, bytes]:
            if self.path != "/predict":
                raise Refused(404, "pictures are posted to /predict.")
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdecimal():
                raise Refused(411, "say the Content-Length.")
            if int(length) > limits.megabytes * 10**6:
                raise Refused(413, f"send {limits.megabytes} MB at most.")
            body = self.rfile.read(int(length))
            found = predict(self.headers.get("Content-Type", ""), body)
            return "application/json", json.dumps(found).encode()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: names of pictures are nobody's business."""

    return Handler
