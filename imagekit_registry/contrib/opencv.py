"""Faces as focal points, found by OpenCV; needs the extra ``opencv``, and a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from imagekit_registry.exceptions import InvalidConfiguration, how_to_install

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Faces"]


def _check_model(faces: Faces, attribute: attrs.Attribute[Path], path: Path) -> None:
    try:
        import cv2
    except ImportError as error:
        raise InvalidConfiguration(
            f"Faces cannot be found ({error}). Install OpenCV by: {how_to_install('opencv')}"
        ) from error
    try:
        cv2.FaceDetectorYN.create(str(path), "", (32, 32))
    except cv2.error as error:
        raise InvalidConfiguration(
            f"Faces: OpenCV cannot read the model {str(path)!r}. Give it the path of a YuNet model:"
            " face_detection_yunet_*.onnx of OpenCV's model zoo."
        ) from error


@attrs.frozen
class Faces:
    """Finds the faces in images; the larger one is, and the surer it is one, the more it weighs.

    Args:
        model: The path of a model of the kind YuNet, which OpenCV does not bring along.
        score: How sure it must be of a face, from 0 to 1.

    Raises:
        InvalidConfiguration: OpenCV is not installed, or cannot read the model.

    Example:
        >>> register.detector("faces", Faces("face_detection_yunet_2023mar.onnx"))
        Traceback (most recent call last):
        imagekit_registry.exceptions.InvalidConfiguration: Faces: OpenCV cannot read the model ...
    """

    model: Path = attrs.field(converter=Path, validator=_check_model)
    score: float = 0.8

    def __call__(self, image: Image.Image) -> list[tuple[float, float, float, float, float]]:
        """Return left, top, width and height of each face, in pixels, and its weight."""
        import cv2
        import numpy as np

        # One that is shared would mix up what threads ask it.
        detector = cv2.FaceDetectorYN.create(str(self.model), "", image.size, self.score)
        found: Any = detector.detect(np.asarray(image.convert("RGB"))[:, :, ::-1].copy())[1]
        # Between box and score stand eyes, nose and mouth.
        return [
            (x, y, width, height, score * width * height)
            for x, y, width, height, *_, score in (() if found is None else found.tolist())
        ]
