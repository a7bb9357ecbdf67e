"""Form fields: uploads that are processed before the form is saved."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.utils.datastructures import MultiValueDict
from django.utils.translation import override
from PIL import Image

from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    ProcessingError,
)
from imagekit_registry.forms import ProcessedImageField
from imagekit_registry.forms.fields import ProcessedImageField as SameProcessedImageField
from imagekit_registry.imaging import Limits
from imagekit_registry.models.fields import ProcessedUpload
from imagekit_registry.processors import ResizeToFill
from tests.storages import content_of
from tests.testapp.models import Plain, Thumbnail

INVALID = (
    "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
)


_numbers = count()


class Broken:
    """A processor with a mistake in it."""

    def process(self, image: Image.Image) -> Image.Image:
        raise ZeroDivisionError("mistake")


class UploadForm(forms.Form):
    """A form as in the documentation."""

    image = ProcessedImageField(
        [ResizeToFill(50, 40)], format="JPEG", spec_id="tests:upload", required=False
    )


class PlainForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model form whose model knows nothing of processing."""

    image = ProcessedImageField(
        [ResizeToFill(50, 40)], format="WEBP", spec_id="tests:form:plain", required=False
    )

    class Meta:
        model = Plain
        fields = ("title", "image")


def field(**arguments: Any) -> ProcessedImageField:
    """Return a field of its own, with a spec id of its own."""
    arguments.setdefault("spec_id", f"tests:form:{next(_numbers)}")
    return ProcessedImageField(**arguments)


def upload(content: bytes, name: str = "a.jpg") -> SimpleUploadedFile:
    """Return what Django makes of an upload."""
    return SimpleUploadedFile(name, content, "image/x-whatever")


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG that claims to be large."""
    buffer = BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def sent(image: Any = None, **files: Any) -> Any:
    """Return the files of a request."""
    if image is not None:
        files["image"] = image
    return MultiValueDict({name: [file] for name, file in files.items()})


class TestCleaned:
    """What a valid form holds."""

    def test_cleaned_data_is_the_processed_upload(self, photos: Path) -> None:
        """Name, size, content type and image are those of the result."""
        content = (photos / "coffee.png").read_bytes()
        form = UploadForm({}, sent(upload(content, "my cup.png")))
        assert form.is_valid(), form.errors
        file = form.cleaned_data["image"]
        assert isinstance(file, ProcessedUpload)
        assert file.image is not None
        assert (file.name, file.content_type) == ("my cup.jpg", "image/jpeg")
        assert (file.image.format, file.image.size) == ("JPEG", (50, 40))
        data = file.read()
        assert len(data) == file.size
        assert data[:3] == b"\xff\xd8\xff"
        assert b"".join(file.chunks()) == data

    def test_an_upload_on_the_disk_is_processed_the_same(self, photos: Path) -> None:
        """Django keeps large uploads in temporary files."""
        with TemporaryUploadedFile("big.png", "image/png", 0, None) as temporary:
            temporary.write((photos / "coffee.png").read_bytes())
            temporary.size = temporary.tell()
            form = UploadForm({}, sent(temporary))
            assert form.is_valid(), form.errors
            assert form.cleaned_data["image"].image.size == (50, 40)
            assert not temporary.closed

    def test_a_form_can_be_validated_twice(self, photos: Path) -> None:
        """Validating a form again starts from the upload again."""
        form = UploadForm({}, sent(upload((photos / "rocket.jpg").read_bytes())))
        assert form.is_valid()
        form.full_clean()
        assert form.cleaned_data["image"].image.size == (50, 40)

    def test_an_optional_field_without_an_upload_is_empty(self) -> None:
        """An optional field may stay empty."""
        form = UploadForm({}, sent())
        assert form.is_valid()
        assert form.cleaned_data["image"] is None

    def test_validators_see_the_upload_as_djangos_field_shows_it(self, photos: Path) -> None:
        """With ``image`` and ``content_type``."""
        seen: list[Any] = []

        def look(value: Any) -> None:
            seen.append((value.image.size, value.image.format, value.content_type))

        item = field(format="PNG", validators=[look])
        item.clean(upload((photos / "coffee.png").read_bytes(), "a.png"))
        assert seen == [((600, 400), "PNG", "image/png")]

    def test_a_processed_upload_is_not_processed_again(self, photos: Path) -> None:
        """A wizard that hands the cleaned file on does not lose quality."""
        item = field(processors=[ResizeToFill(50, 40)], format="JPEG")
        first = item.clean(upload((photos / "rocket.jpg").read_bytes()))
        assert item.clean(first) is first


class TestErrors:
    """What a person who uploads something odd reads."""

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"plain text", id="text"),
            pytest.param(None, id="truncated"),
            pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", id="postscript"),
        ],
    )
    def test_what_is_no_image_gets_djangos_own_message(
        self, content: bytes | None, photos: Path
    ) -> None:
        """Django's own message, in its own translations."""
        content = content or (photos / "rocket.jpg").read_bytes()[:5000]
        form = UploadForm({}, sent(upload(content)))
        assert form.errors == {"image": [INVALID]}
        assert form.errors.as_data()["image"][0].code == "invalid_image"
        with override("de"):
            assert "gültiges Bild" in str(UploadForm({}, sent(upload(content))).errors)

    def test_a_file_that_is_empty_or_of_an_unknown_kind_gets_djangos_own_message(self) -> None:
        """What Django's field finds, this one finds as well."""
        assert "empty" in str(UploadForm({}, sent(upload(b""))).errors)
        png = bomb(1, 1)
        assert "“txt”" in str(UploadForm({}, sent(upload(png, "a.txt"))).errors)

    @pytest.mark.parametrize(
        ("limits", "content", "message"),
        [
            pytest.param(
                Limits(max_pixels=100_000_000),
                bomb(30_000, 30_000),
                "The image has too many pixels. At most 100,000,000 are allowed, such as 10,000 by"
                " 10,000: make it smaller and upload it again.",
                id="pixels",
            ),
            pytest.param(
                Limits(max_bytes=2048),
                b"x" * 4096,
                "The file is too large. At most 2.0 KB are allowed.",
                id="bytes",
            ),
            pytest.param(
                Limits(max_frames=2),
                None,
                "The animation has too many frames. At most 2 are allowed: shorten it and upload"
                " it again.",
                id="frames",
            ),
            pytest.param(
                Limits(max_output_pixels=10),
                None,
                "The image is too large or too complex to be processed. Upload a smaller one.",
                id="output",
            ),
        ],
    )
    def test_an_upload_beyond_a_limit_gets_a_message_with_the_limit(
        self, limits: Limits, content: bytes | None, message: str
    ) -> None:
        """Words that a person understands, with the limit."""
        item = field(format="PNG", limits=limits, processors=[ResizeToFill(20, 20)])
        with pytest.raises(forms.ValidationError) as caught:
            item.clean(upload(content or animation(3)))
        assert [text.replace("\xa0", " ") for text in caught.value.messages] == [message]

    def test_a_bomb_costs_no_memory(self, settings: Any) -> None:
        """30,000 by 30,000 pixels are refused by the header."""
        tracemalloc.start()
        form = UploadForm({}, sent(upload(bomb(30_000, 30_000), "a.png")))
        assert not form.is_valid()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000

    def test_a_mistake_of_ours_is_told_to_the_visitor_in_short(
        self, photos: Path, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Production shows a message and logs the cause; development shows the cause."""
        item = field(processors=[Broken()])
        content = (photos / "rocket.jpg").read_bytes()
        with pytest.raises(forms.ValidationError, match="could not be processed"):
            item.clean(upload(content))
        assert "mistake" in caplog.text
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(ProcessingError, match="mistake"):
            item.clean(upload(content))

    def test_messages_can_be_replaced(self) -> None:
        """As those of every form field."""
        item = field(format="PNG", error_messages={"too_many_pixels": "Too big!"})
        with pytest.raises(forms.ValidationError, match="Too big!"):
            item.clean(upload(bomb(30_000, 30_000)))


def animation(frames: int) -> bytes:
    """Return a GIF with as many different frames."""
    images = [Image.new("L", (4, 4), i * 20) for i in range(frames)]
    buffer = BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:])
    return buffer.getvalue()


class TestArguments:
    """What the field takes."""

    def test_a_spec_id_is_required(self) -> None:
        """A form field is not told its name, so it cannot make one up."""
        with pytest.raises(TypeError, match="spec_id") as caught:
            ProcessedImageField([ResizeToFill(5, 5)])
        assert isinstance(caught.value, InvalidArgumentType)
        assert SameProcessedImageField is ProcessedImageField

    def test_a_form_field_may_be_given_a_spec(self, photos: Path) -> None:
        """In place of attributes."""
        item = ProcessedImageField(spec=Thumbnail, spec_id="tests:form-thumbnail")
        file = item.clean(upload((photos / "rocket.jpg").read_bytes()))
        assert file.image.size == (100, 60)

    def test_one_spec_id_stands_for_one_recipe(self) -> None:
        """Another form may repeat a field as it is; it gets no upload processed by another recipe."""
        first = field(processors=[Broken(), ResizeToFill(5, 5)], format="PNG")
        same = field(processors=[Broken(), ResizeToFill(5, 5)], format="PNG", spec_id=first.spec_id)
        assert type(same.get_spec(None)) is type(first.get_spec(None))
        with pytest.raises(AlreadyRegistered, match=str(first.spec_id)):
            field(processors=[ResizeToFill(6, 6)], format="PNG", spec_id=first.spec_id)

    def test_arguments_of_the_form_field_come_in_the_published_order(self) -> None:
        """Code that passes everything by position goes on working."""
        item = ProcessedImageField(
            [ResizeToFill(5, 5)], "PNG", {"optimize": True}, False, "tests:o"
        )
        spec = item.get_spec(source=None)
        assert (spec.format, spec.options, spec.autoconvert) == ("PNG", {"optimize": True}, False)

    def test_the_file_input_accepts_images_in_the_browser(self) -> None:
        """The input offers images, as Django's does."""
        assert 'accept="image/*"' in str(UploadForm()["image"])


@pytest.mark.django_db
class TestModelForms:
    """Forms that save what they have processed."""

    def save(self, image: Any = None, **arguments: Any) -> Plain:
        form = PlainForm(arguments.pop("data", {}), sent(image), **arguments)
        assert form.is_valid(), form.errors
        saved: Plain = form.save()
        return saved

    def test_model_forms_store_the_processed_upload(self, photos: Path) -> None:
        """The model's own ImageField stores it under the new name."""
        plain = self.save(upload((photos / "rocket.jpg").read_bytes()))
        plain.refresh_from_db()
        assert (plain.image.name, plain.image.width) == ("plain/a.webp", 50)

    def test_model_forms_keep_an_image_that_is_not_sent(self, photos: Path) -> None:
        """A form that is sent without a file changes nothing."""
        plain = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
        plain = self.save(instance=plain, data={"title": "b"})
        assert (plain.title, plain.image.name, plain.image.width) == ("b", "plain/rocket.jpg", 640)

    def test_model_forms_clear_what_is_to_be_cleared(self, photos: Path) -> None:
        """By Django's own box."""
        plain = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
        plain = self.save(instance=plain, data={"image-clear": "on"})
        plain.refresh_from_db()
        assert not plain.image

    def test_model_forms_refuse_a_file_together_with_the_clear_box(self, photos: Path) -> None:
        """Django's own message."""
        plain = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
        files = sent(upload((photos / "rocket.jpg").read_bytes()))
        form = PlainForm({"image-clear": "on"}, files, instance=plain)
        assert "not both" in str(form.errors["image"])

    def test_model_forms_keep_the_stored_image_when_an_upload_is_bad(self, photos: Path) -> None:
        """The form is shown again with the image that is stored."""
        plain = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
        form = PlainForm({}, sent(upload(b"text")), instance=plain)
        assert not form.is_valid()
        assert "plain/rocket.jpg" in str(form["image"])

    def test_forms_of_a_formset_process_their_own_uploads(self, photos: Path) -> None:
        """Each form of a formset processes its own upload."""
        formset_class = forms.modelformset_factory(Plain, form=PlainForm, extra=2)
        data = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "0"}
        uploads = {
            "form-0-image": upload((photos / "rocket.jpg").read_bytes(), "r.jpg"),
            "form-1-image": upload((photos / "coffee.png").read_bytes(), "c.png"),
        }
        formset = formset_class(data, sent(**uploads), queryset=Plain.objects.none())
        assert formset.is_valid(), formset.errors
        saved = formset.save()
        assert [item.image.name for item in saved] == ["plain/r.webp", "plain/c.webp"]
