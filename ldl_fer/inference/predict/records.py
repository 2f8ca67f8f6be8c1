"""An answer as a record: the object of a line of JSON, the rows of a table."""

from collections.abc import Sequence

from ldl_fer.inference.predict.face import FacePrediction
from ldl_fer.inference.predict.stream import Answer

PLACE = ("file", "frame", "seconds", "width", "height", "error")
BOX = ("x", "y", "box_width", "box_height")


def columns_of(class_names: Sequence[str]) -> list[str]:
    """Returns the names of the columns that `rows` fills."""
    return [
        *PLACE, "faces", "face", *BOX, "score", "leading", "confidence", "runner_up", "margin",
        "entropy", "ambiguous", "doubts", "valence", "arousal",
        *(f"probability_{name}" for name in class_names),
    ]  # fmt: skip


def face_record(face: FacePrediction) -> dict:
    """Returns the JSON object of a face: box and landmarks in pixels, entropy in nats."""
    return {
        "box": [round(side, 2) for side in face.box],
        "score": _rounded(face.score),
        "landmarks": None
        if face.landmarks is None
        else face.landmarks.astype(float).round(2).tolist(),
        "leading": face.leading,
        "confidence": _rounded(face.confidence),
        "runner_up": face.runner_up,
        "margin": _rounded(face.margin),
        "entropy": _rounded(face.entropy),
        "ambiguous": face.ambiguous,
        "doubts": list(face.doubts),
        "valence": _rounded(face.valence),
        "arousal": _rounded(face.arousal),
        "distribution": {name: _rounded(p) for name, p in face.distribution.items()},
    }


def record(answer: Answer) -> dict:
    """Returns the JSON object of a picture or frame."""
    return _place(answer) | {"faces": [face_record(face) for face in answer.faces]}


def rows(answer: Answer, class_names: Sequence[str]) -> list[dict]:
    """Returns its rows of the CSV: one for each face, or one with `faces` 0."""
    place = _place(answer) | {"faces": len(answer.faces)}
    if not answer.faces:
        return [place]
    made = []
    for number, face in enumerate(answer.faces):
        cells = face_record(face)
        box, shares = cells.pop("box"), cells.pop("distribution")
        cells |= {"face": number, "doubts": ";".join(cells["doubts"])}
        cells |= dict(zip(BOX, box, strict=True))
        cells |= {f"probability_{name}": shares[name] for name in class_names}
        made.append(place | cells)
    return made


def _place(answer: Answer) -> dict:
    frame, (width, height) = answer.frame, answer.size
    values = str(frame.source.path), frame.number, frame.seconds, width, height, answer.error
    return dict(zip(PLACE, values, strict=True))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
