"""Faces found by OpenCV."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from PIL import Image

from imagekit_registry import register, unregister
from imagekit_registry.contrib.opencv import Faces
from imagekit_registry.exceptions import InvalidConfiguration
from tests.contrib._yunet import make_yunet
from tests.testapp.models import Portrait

pytest.importorskip("cv2", reason="the extra opencv is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model that OpenCV's own detector reads, for which what is red is a face."""
    path = tmp_path / "yunet.onnx"
    path.write_bytes(make_yunet())
    return path


def test_faces_are_boxes_in_pixels_with_their_weights(model: Path) -> None:
    """Whatever the size of the image; the weight is how large it is, and how surely a face."""
    image = Image.new("RGB", (200, 100), "blue")
    image.paste("red", (160, 32, 192, 64))
    image.paste("#e60000", (0, 64, 32, 96))
    (surer, *box), other = sorted(Faces(model, score=0.4)(image), reverse=True)
    assert (surer, *box) == pytest.approx((160, 32, 32, 32, 1024), abs=0.5)
    assert other[:4] == pytest.approx((0, 64, 32, 32), abs=0.5)
    assert other[4] < 1024


def test_what_is_no_face_surely_enough_is_none(model: Path) -> None:
    """OpenCV gives nothing at all then."""
    image = Image.new("RGB", (64, 64), "blue")
    assert Faces(model)(image) == []
    image.paste("#a00000", (0, 0, 32, 32))
    assert len(Faces(model, score=0.3)(image)) == 1
    assert Faces(model, score=0.95)(image) == []


@pytest.mark.django_db
def test_a_crop_keeps_the_face(model: Path) -> None:
    """From the registered detector to the pixels: the middle, where nobody looks, is cut off."""
    image = Image.new("RGB", (640, 160), "blue")
    image.paste("red", (576, 64, 608, 96))
    image.save(out := io.BytesIO(), "PNG")
    register.detector("faces", Faces(model))
    try:
        row = Portrait.objects.create(image=ContentFile(out.getvalue(), "face.png"))
        with row.card.open() as file, Image.open(file) as card:
            colors: Any = card.convert("RGB").getcolors(1 << 16)
    finally:
        unregister.detector("faces")
    assert sum(count for count, color in colors if color[0] > 200) > 50


def test_a_model_that_cannot_be_read_is_told_at_the_start() -> None:
    """By OpenCV's own detector: before any image is to be made."""
    with pytest.raises(InvalidConfiguration, match=r"cannot read the model 'nowhere.onnx'"):
        Faces(model="nowhere.onnx")


def test_without_opencv_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, not in a worker."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InvalidConfiguration, match=r"Install OpenCV by: pip install '"):
        Faces(model="yunet.onnx")
