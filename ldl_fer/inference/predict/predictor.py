"""Finds and cuts out the faces of pictures, and predicts their label distributions.

from ldl_fer import Predictor

predictor = Predictor("checkpoints/mine", detector="yunet.onnx")
for face in predictor("party.jpg"):
    print(face.leading, face.confidence, face.ambiguous, face.distribution)

table = predictor.predict(["party.jpg", "holiday/", "more/*.jpg"])  # a row per face
for answer in predictor.stream(paths):  # many pictures: faces of several share a batch
    print(answer.item, answer.error or answer.faces)
"""

import functools
import itertools
import math
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from ldl_fer.config.processors import processors
from ldl_fer.data.pictures import resized
from ldl_fer.errors import InputError
from ldl_fer.evaluation.temperature import scaled
from ldl_fer.evaluation.trained_model import TrainedModel, is_run, load_model
from ldl_fer.inference.predict.face import BATCH_SIZE, MARGIN, MIN_CONFIDENCE, FacePrediction, judge
from ldl_fer.inference.predict.records import columns_of, rows
from ldl_fer.inference.predict.sources import (
    VIDEOS,
    Frame,
    decoded_picture,
    find_sources,
    frames,
)
from ldl_fer.inference.predict.stream import (
    Answer,
    Detected,
    Picture,
    batched,
    read_ahead,
)
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.faces import DETECT, FACES, WHOLE
from ldl_fer.preparation.faces.alignment import aligned
from ldl_fer.preparation.faces.detector import Face, FaceDetector

if TYPE_CHECKING:
    from ldl_fer.plots import Figure

Inputs = str | os.PathLike | Sequence[str | os.PathLike]
_UNREADABLE = (OSError, ValueError, cv2.error)  # raised by a picture that cannot be read
_NAME = 300  # characters of a picture's path in a message


class Predictor:
    """A trained network with a face detector before it and a verdict behind it.

    Attributes:
      class_names: C names in the order of `FacePrediction.distribution`.
      image_size: height and width of the network's input, pixels.
      temperature: T of softmax(z / T), see `ldl_fer.evaluation.temperature`.
      notes: sentences that a user should read, such as that nothing was calibrated.
    """

    def __init__(
        self,
        model: str | os.PathLike | TrainedModel,
        detector: str | Path | FaceDetector | None = None,
        *,
        faces: str = DETECT,
        affect: Any | None = None,
        temperature: float | None = None,
        margin: float = MARGIN,
        min_confidence: float = MIN_CONFIDENCE,
        gray: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Loads network, detector and regressor.

        Args:
          model: a run folder, the `Run` that `train` returned, or a folder that `ldl-fer export`
            wrote as SavedModel, safetensors or ONNX.
          detector: YuNet's ONNX file, or a detector; None: the cascade that OpenCV brings along.
          faces: "detect", or "whole": every picture is a face's crop already; no detector then.
          affect: valence-arousal regressor: a path that `preparation.affect` loads, or the model
            (`image_size`, and `predict`: uint8 [B, H, W, 3] -> [B, 2]); None: none.
          temperature: T; None: the one fitted for the model, 1 if none was.
          margin: a face is ambiguous if the probabilities of its leading classes are closer.
          min_confidence: or if the larger of them, calibrated, is below this.
          gray: make pictures gray for the network, for one that was trained on gray pictures.
          batch_size: faces that pass through the network together.

        Raises:
          InputError: a file is missing or is not what it should be, or a value is out of range.
        """
        if faces not in FACES:
            raise InputError(f"faces is one of {', '.join(FACES)}, not {faces!r}.")
        if not (0.0 <= margin <= 1.0 and 0.0 <= min_confidence <= 1.0):
            raise InputError("margin and min_confidence are probabilities, from 0 to 1.")
        if batch_size < 1:
            raise InputError(f"batch_size is at least 1, not {batch_size}.")
        if temperature is not None and not 0.0 < temperature < math.inf:
            raise InputError(f"a temperature is above 0, not {temperature}.")
        if faces == WHOLE and detector is not None:
            raise InputError(
                "--faces=whole has no use for a detector: leave out --detector, or --faces=whole."
            )
        self._detector: FaceDetector | None = None
        if faces == DETECT:
            if detector is None or isinstance(detector, (str, Path)):
                detector = FaceDetector(detector)
            self._detector = detector
        if not (isinstance(model, (str, os.PathLike)) or hasattr(model, "probabilities")):
            kind = type(model).__name__
            raise InputError(f"the model is the folder of a run or export, not of type {kind}.")
        if isinstance(model, os.PathLike):
            model = Path(model)
        self._model = load_model(model) if isinstance(model, (str, Path)) else model
        self._affect = load_affect_model(affect) if isinstance(affect, (str, Path)) else affect
        self.class_names, self.image_size = self._model.class_names, self._model.image_size
        self.temperature = temperature or self._model.temperature or 1.0
        self.notes = list(self._model.notes)
        if temperature is None and self._model.temperature is None:
            named = model if isinstance(model, (str, Path)) else "this model"
            of_run = isinstance(model, (str, Path)) and is_run(model)
            flag = shlex.quote(f"--run_dir={model if of_run else 'RUN'}")
            where = "" if of_run else " on the run it was exported from, and export again"
            self.notes.append(
                f"no temperature was fitted for {named}, its confidence is as it came out: run "
                f"ldl-fer temperature {flag}{where}"
            )
        self._judge = functools.partial(
            judge, class_names=self.class_names, margin=margin, min_confidence=min_confidence
        )
        self._gray, self._batch_size = gray, batch_size

    def __call__(self, image: np.ndarray | str | Path) -> list[FacePrediction]:
        """Predicts the faces of one picture, largest first.

        Args:
          image: RGB uint8 [H, W, 3], or a picture's path.

        Raises:
          InputError: it is none, or its file cannot be read; the text names the file. Or the
            process is a fork of the one that this was made in.
        """
        self._model.check_process()
        path = Path(image) if isinstance(image, (str, Path)) else None
        name = f"{_shortened(str(path))}: " if path else ""
        try:
            if path and path.is_dir():
                raise ValueError("a folder, not a picture. Use stream for many pictures.")
            if path and path.suffix.lower() in VIDEOS:
                raise ValueError("a video, not a picture. Use ldl-fer predict.")
            detected = self._detect(image)
        except _UNREADABLE as error:
            raise InputError(name + _reason(error)) from error
        return self._predict(detected.known, detected.crops)

    def predict(self, inputs: Inputs) -> pd.DataFrame:
        """Predicts the faces of pictures and videos.

        Args:
          inputs: files, folders and globs, as `sources.find_sources` takes them, or one of them.

        Returns:
          The table that `ldl-fer predict` writes as CSV: a row per face, or one for a picture
          without a face (`faces` 0) or that could not be read (`error`).

        Raises:
          InputError: nothing is found, or as `stream`.
        """
        answers = self.stream(frames(find_sources(_listed(inputs))))
        cells = [row for answer in answers for row in rows(answer, self.class_names)]
        return pd.DataFrame(cells, columns=columns_of(self.class_names))

    def figure(self, inputs: Inputs, count: int = 8) -> "Figure":
        """Draws faces, each beside the bars of its distribution.

        Args:
          inputs: as `predict` takes them.
          count: of faces, at most: the first ones.

        Raises:
          InputError: no face is found, or as `predict`.
        """
        from ldl_fer.plots import captioned, faces_with_bars

        found = self.stream(frames(find_sources(_listed(inputs))), keep_images=True)
        shown = ((answer.image, face) for answer in found for face in answer.faces)
        crops, distributions, titles = [], [], []
        for image, face in itertools.islice(shown, count):
            assert image is not None  # it is kept
            left, top, width, height = (max(round(side), 0) for side in face.box)
            crops.append(image[top : top + height, left : left + width])
            distributions.append([*face.distribution.values()])
            titles.append(f"{captioned([face.leading])[0]} {face.confidence:.2f}")
        if not crops:
            raise InputError(f"no face was found in {', '.join(map(str, _listed(inputs)))}.")
        series = {"prediction": np.array(distributions)}
        return faces_with_bars(crops, series, self.class_names, titles)

    def stream(
        self, items: Iterable[Picture], keep_images: bool = False, threads: int | None = None
    ) -> Iterator[Answer]:
        """Yields answers for many pictures, in their order.

        Threads read, decode and detect ahead while the network works on full batches, made of the
        faces of several pictures. A picture that cannot be read is an answer with an error. Memory
        holds two pictures a thread and those that wait for their batch, at most 256 MB.

        Args:
          items: pictures, paths, or the frames of `sources.frames`; drawn from in another thread.
          keep_images: whether answers hold their pictures.
          threads: that decode and detect; None: one for each processor.

        Raises:
          InputError: the process is a fork of the one that this was made in.
        """
        self._model.check_process()
        detect = functools.partial(self._detect_or_explain, keep_images)
        detected = read_ahead(detect, items, threads or processors())
        return batched(detected, self._predict, self._batch_size)

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Returns calibrated distributions of face crops.

        Args:
          crops: uint8 [N, image_size, image_size, 3], RGB.

        Returns:
          [N, C] float64, rows sum to 1.

        Raises:
          InputError: the network's output is not finite, or the process is a fork.
        """
        return scaled(self._model.probabilities(crops, self._batch_size), self.temperature)

    def _predict(self, known: list[dict], crops: list[tuple]) -> list[FacePrediction]:
        if not known:
            return []
        of_network, *of_affect = (np.stack(sort) for sort in zip(*crops, strict=True))
        distributions = self.probabilities(of_network)
        if self._affect:
            places = self._affect.predict(*of_affect).tolist()
            for facts, (valence, arousal) in zip(known, places, strict=True):
                facts |= {"valence": valence, "arousal": arousal}
        return [self._judge(p, **facts) for p, facts in zip(distributions, known, strict=True)]

    def _detect(self, item: Picture, keep_image: bool = False) -> Detected:
        image = _pixels(item)
        height, width = image.shape[:2]
        detected = Detected(Answer(item, image if keep_image else None, (width, height)))
        for face in self._detector.detect(image) if self._detector else [None]:
            detected.known.append(_known(face, width, height))
            crop = _crop(image, face, self.image_size)
            if self._gray:
                crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            of_affect = [_crop(image, face, self._affect.image_size)] if self._affect else []
            detected.crops.append((crop, *of_affect))
        return detected

    def _detect_or_explain(self, keep_image: bool, item: Picture) -> Detected:
        try:
            return self._detect(item, keep_image)
        except _UNREADABLE as error:
            return Detected(Answer(item, error=_reason(error)))


def _pixels(item: Picture) -> np.ndarray:
    """Returns the pixels of an item, RGB uint8 [H, W, 3].

    Raises:
      OSError, ValueError: it is no picture, or cannot be read; the text says why.
    """
    if isinstance(item, Frame):
        return item.load()
    image = decoded_picture(item) if isinstance(item, (str, Path)) else item
    if not isinstance(image, np.ndarray):
        kind = "None" if image is None else type(image).__name__  # the value may be a picture
        raise ValueError(f"not a picture, but {kind}: give a path or RGB uint8 [H, W, 3]")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"not an RGB picture, uint8 [H, W, 3]: {image.dtype} {image.shape}")
    return image


def _listed(inputs: Inputs) -> list[str | Path]:
    named = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return [os.fspath(one) for one in named]


def _known(face: Face | None, width: int, height: int) -> dict[str, Any]:
    """Returns what the detector gives to `FacePrediction`; without a face, the picture's box."""
    if face is None:
        return {"box": (0.0, 0.0, float(width), float(height))}
    return {"box": face.box, "score": face.score, "landmarks": face.landmarks}


def _crop(image: np.ndarray, face: Face | None, size: int) -> np.ndarray:
    """Returns the aligned face; without one, the picture resized as in training."""
    return resized(image, size) if face is None else aligned(image, face, size)


def _shortened(text: str) -> str:
    """Returns a name for a message; a text as long as a picture's is none."""
    return text if len(text) <= _NAME else f"{text[:_NAME]}..."


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
