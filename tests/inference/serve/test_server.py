"""The server: answers, limits, and whom it refuses."""

import contextlib
import http.client
import json

import cv2
import pytest
from helpers.called import call
from helpers.color_model import CLASS_NAMES, CornerDetector, color_model, plain
from helpers.served import serving

from ldl_fer.errors import InputError
from ldl_fer.inference.predict.predictor import Predictor
from ldl_fer.inference.serve.server import Limits, server


@pytest.fixture(scope="module")
def port():
    with serving(Limits(megabytes=1, pictures=3, megapixels=1)) as number:
        yield number


def ask(port, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    with contextlib.closing(connection):
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def encoded(color, height=16, width=16):
    return cv2.imencode(".png", plain(color, height, width)[..., ::-1])[1].tobytes()


def form(*pictures):
    """multipart/form-data of (name, content), and its Content-Type."""
    parts = b"".join(
        f'--cut\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in pictures
    )
    return parts + b"--cut--\r\n", "multipart/form-data; boundary=cut"


def posted(port, body, kind="image/png", **headers):
    status, _, content = ask(port, "POST", "/predict", body, Content_Type=kind, **headers)
    return status, json.loads(content)


def test_one_picture_as_the_body(port):
    status, said = posted(port, encoded((20, 60, 20), height=20))
    assert status == 200 and said["class_names"] == list(CLASS_NAMES)
    (picture,) = said["pictures"]
    assert (picture["width"], picture["height"]) == (16, 20)
    first, second = picture["faces"]  # 20 // 10
    assert first["box"] == [3.0, 3.0, 10.0, 10.0] and second["box"][2] == 9.9
    # the model's shares of the colors
    assert first["distribution"] == pytest.approx({"Red": 0.2, "Grün": 0.6, "Blue": 0.2}, abs=1e-3)
    assert first["leading"] == "Grün" and not first["ambiguous"]


def test_several_pictures_and_one_that_is_none(port):
    body, kind = form(
        ("a.png", encoded((10, 0, 0))), ("b.png", b"none"), ("c.png", encoded((0,) * 3))
    )
    status, said = posted(port, body, kind)
    first, second, third = said["pictures"]
    assert status == 200 and [len(first["faces"]), third["faces"]] == [1, []]
    assert second["name"] == "b.png" and second["error"].startswith("cannot be read: ")
    assert "faces" not in second


def test_limits(port):
    for size in (1_000_001, 30_000_000):  # all of it is sent before the answer is read
        assert posted(port, b"0" * size) == (413, {"error": "send 1 MB at most."})
    body, kind = form(*[("a.png", encoded((10, 0, 0)))] * 4)
    assert posted(port, body, kind) == (400, {"error": "send 1 to 3 pictures at a time, not 4."})
    assert posted(port, *form())[0] == 400
    _, said = posted(port, encoded((10, 0, 0), 1001, 1000))
    assert "more than 1 megapixels" in said["pictures"][0]["error"]
    assert posted(port, b"x", "text/plain")[0] == 415
    assert posted(port, b"x", "multipart/form-data")[0] == 400  # without its boundary
    for length in ("-1", "x", "²"):
        status, _ = posted(port, None, Content_Length=length.encode())
        assert status == 411
    assert posted(port, encoded((10, 0, 0)))[0] == 200  # it still answers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 403),  # a name that leads here
        ({"Host": "127.0.0.1.elsewhere.example:80"}, 403),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(port, headers, status):
    headers = {name: value.format(port=port) for name, value in headers.items()}
    assert ask(port, **headers)[0] == status
    assert posted(port, encoded((10, 0, 0)), **headers)[0] == status


def test_the_page_loads_nothing_from_elsewhere(port):
    for path in ("/", "/page.css", "/page.js"):
        status, headers, content = ask(port, path=path)
        assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"https://" not in content
    for path in ("/../server.py", "/page.html/../../server.py", "/predict"):
        assert ask(port, path=path)[0] == 404
    assert ask(port, "POST", "/", b"")[0] == 404


def test_a_port_that_is_taken(port):
    with pytest.raises(InputError, match=rf"--port={port}: .*in use. Name another"):
        server(Predictor(color_model(), CornerDetector()), port)


def test_the_command_wants_one_model(tmp_path):
    done = call("serve")
    assert done.returncode == 2 and "give the model: ldl-fer serve RUN" in done.stderr
    done = call("serve", tmp_path)
    assert done.returncode == 2 and "is no model" in done.stderr
