"""Faces found by OpenCV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imagekit_registry.contrib.opencv import Faces
from imagekit_registry.exceptions import InvalidConfiguration

cv2: Any = pytest.importorskip("cv2", reason="the extra opencv is not installed")


class YuNet:
    """Stands in for OpenCV's detector: its models come with no package. It finds what is red."""

    made: list[tuple[Any, ...]] = []

    @classmethod
    def create(cls, *args: Any) -> YuNet:
        cls.made.append(args)
        return cls()

    def detect(self, pixels: Any) -> tuple[int, Any]:
        assert pixels.dtype == np.uint8
        assert pixels.flags["C_CONTIGUOUS"]
        rows, columns = np.nonzero((pixels[..., 2] > 200) & (pixels[..., 0] < 100))
        if not rows.size:
            return 1, None
        x, y = columns.min(), rows.min()
        box = [x, y, columns.max() - x + 1, rows.max() - y + 1]
        return 1, np.array([[*box, *[0.0] * 10, 0.5]], dtype=np.float32)


@pytest.fixture
def yunet(monkeypatch: pytest.MonkeyPatch) -> type[YuNet]:
    """Put it in the place of OpenCV's."""
    monkeypatch.setattr(YuNet, "made", [])
    monkeypatch.setattr(cv2, "FaceDetectorYN", YuNet)
    return YuNet


def test_faces_are_boxes_in_pixels_with_their_weights(yunet: type[YuNet]) -> None:
    """The weight is how large it is, and how surely a face."""
    image = Image.new("RGB", (200, 100), "blue")
    image.paste("red", (150, 20, 170, 50))
    assert Faces("yunet.onnx", score=0.4)(image) == [(150, 20, 20, 30, 300)]
    assert yunet.made[-1] == ("yunet.onnx", "", (200, 100), 0.4)


def test_no_face_is_no_box(yunet: type[YuNet]) -> None:
    """OpenCV gives nothing at all then."""
    assert Faces(Path("yunet.onnx"))(Image.new("RGB", (20, 10), "blue")) == []


def test_a_model_that_cannot_be_read_is_told_at_the_start() -> None:
    """By OpenCV's own detector: before any image is to be made."""
    with pytest.raises(InvalidConfiguration, match=r"cannot read the model 'nowhere.onnx'"):
        Faces(model="nowhere.onnx")


def test_without_opencv_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, not in a worker."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InvalidConfiguration, match=r"Install OpenCV by: pip install '"):
        Faces(model="yunet.onnx")
