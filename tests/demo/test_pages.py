"""The demo's pages, as a server sends them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from demo.gallery.credits import read_credits
from demo.gallery.processors import Duotone
from tests.demo._site import Answer, Demo, Visitor, size_of

TEXTS = {"title": "Upload", "description": "What was uploaded", "credit": "", "rights": "CC0"}


def _upload(visitor: Visitor, content: bytes, name: str = "upload.jpg") -> Answer:
    return visitor.post("upload/", TEXTS, (name, content))


def _photo_page(visitor: Visitor) -> str:
    links = re.findall(r'href="(/photos/\d+/)"', visitor.get("").text)
    assert links
    return str(links[-1])


class TestLoading:
    """`loaddemo`."""

    def test_loading_the_demo_twice_changes_nothing(self, demo: Demo) -> None:
        """`make demo` may be called again: nothing is loaded twice, and the account stays."""
        before = sorted(path.name for path in (demo.data / "media" / "photos").iterdir())
        printed = demo.manage("loaddemo", "--address", "localhost:8080")
        after = sorted(path.name for path in (demo.data / "media" / "photos").iterdir())
        assert "0 loaded, 9 were there" in printed
        assert after == before

    def test_loading_the_demo_prints_addresses_and_account(self, demo: Demo) -> None:
        """Whoever starts the demo is told where to look and how to log in."""
        printed = demo.manage("loaddemo", "--address", "localhost:8080")
        assert "http://localhost:8080/\n" in printed
        assert "http://localhost:8080/admin/\n" in printed
        assert "demo, password demo" in printed

    def test_the_demo_lacks_no_migration(self, demo: Demo) -> None:
        """The demo's models and migrations agree, and Django's checks find nothing."""
        assert "No changes detected" in demo.manage("makemigrations", "--check", "--dry-run")
        assert "no issues" in demo.manage("check")

    def test_every_photograph_has_a_credit(self, photos: Path) -> None:
        """The table of credits names each photograph that the demo ships."""
        credits = {credit.file: credit for credit in read_credits(photos / "CREDITS.md")}
        shipped = {path.name for path in photos.iterdir()} - {"CREDITS.md"}
        assert set(credits) == shipped
        assert all(credit.by and credit.rights for credit in credits.values())


class TestPages:
    """What a visitor gets."""

    @pytest.mark.parametrize(
        "page",
        ["", "photo", "point", "sheet/", "upload/", "admin/gallery/photo/", "admin form"],
        ids=["gallery", "photo", "point", "sheet", "upload", "admin-list", "admin-form"],
    )
    def test_every_image_is_what_the_page_says(self, visitor: Visitor, page: str) -> None:
        """Each image of each page is served, has the announced size, and a text in its place."""
        visitor.log_in()
        if page == "photo":
            page = _photo_page(visitor)
        elif page == "point":
            page = f"{_photo_page(visitor)}point/"
        elif page == "admin form":
            number = _photo_page(visitor).strip("/").rpartition("/")[2]
            page = f"admin/gallery/photo/{number}/change/"
        answer = visitor.get(page)
        images = answer.images
        assert images or page == "upload/"
        if not page.startswith("admin/"):
            assert re.findall(r"[ \t]+$", answer.text, re.MULTILINE) == [], "validators complain"
        for image in images:
            assert image.alt is not None
            for place, url in enumerate(image.urls):
                answer = visitor.get(url)
                assert answer.status == 200
                assert answer.media_type.startswith("image/"), url
                if answer.media_type != "image/svg+xml":
                    size = size_of(answer)
                    assert place > 0 or size == (image.width, image.height), url

    def test_the_contact_sheet_makes_no_image(self, visitor: Visitor) -> None:
        """Its images are made as they are asked for; from then on it shows their files."""
        for _ in range(2):
            shown = [
                image for image in visitor.get("sheet/").images if "/static/" not in image.urls[0]
            ]
            assert {size_of(visitor.get(image.urls[0])) for image in shown} == {(240, 180)}
        assert all("/media/" in image.urls[0] for image in shown)

    def test_the_demo_shows_who_took_each_photograph(self, visitor: Visitor, photos: Path) -> None:
        """The gallery names who took each photograph, and its licence."""
        page = visitor.get("").text.lower()
        for credit in read_credits(photos / "CREDITS.md"):
            assert f"{credit.by} · {credit.rights}".lower() in page

    def test_the_photo_page_shows_every_recipe(self, visitor: Visitor) -> None:
        """One photograph is shown cut, grey, rounded, in two inks and in modern formats."""
        page = visitor.get(_photo_page(visitor))
        types = {visitor.get(image.urls[0]).media_type for image in page.images}
        assert {"image/jpeg", "image/webp"} <= types
        assert "ResizeToFill(480, 360), RoundedCorners(48)" in page.text
        assert "Duotone(&#x27;#1d1a4b&#x27;, &#x27;#ffd9a0&#x27;)" in page.text
        assert "gallery:rounded" in page.text
        assert "gallery:photo:duotone" in page.text


class TestUpload:
    """The form."""

    def test_a_sideways_photograph_is_stored_upright(self, visitor: Visitor, photos: Path) -> None:
        """The model's field turns the upload by its EXIF, drops that, and writes JPEG."""
        buffer = io.BytesIO()
        with Image.open(photos / "rocket.jpg") as image:
            exif = image.getexif()
            exif[0x0112] = 6
            image.save(buffer, "JPEG", exif=exif)
        page = _upload(visitor, buffer.getvalue())
        assert "is stored as JPEG, 427 × 640 pixels" in page.text  # noqa: RUF001
        stored = re.search(r'href="(/media/photos/upload\w*\.jpg)"', page.text)
        assert stored is not None
        answer = visitor.get(stored[1])
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (427, 640), {})

    def test_an_upload_in_another_format_becomes_a_jpeg(self, visitor: Visitor) -> None:
        """The stored file's name follows the format; the page shows the image at once."""
        buffer = io.BytesIO()
        Image.new("RGBA", (2400, 600), "#33669980").save(buffer, "PNG")
        page = _upload(visitor, buffer.getvalue(), "wide.png")
        assert "2000 × 500 pixels" in page.text  # noqa: RUF001
        assert re.search(r'href="/media/photos/wide\w*\.jpg"', page.text)
        assert page.url.startswith(visitor.address + "photos/")

    @pytest.mark.parametrize(
        ("name", "content"),
        [("notes.jpg", b"These are words."), ("cut.jpg", None)],
        ids=["text", "truncated"],
    )
    def test_what_is_no_image_is_refused(
        self, visitor: Visitor, photos: Path, name: str, content: bytes | None
    ) -> None:
        """Django's own message stands at the field, and nothing is stored."""
        body = content or (photos / "rocket.jpg").read_bytes()[:300]
        page = _upload(visitor, body, name)
        assert page.url.endswith("/upload/")
        assert "Upload a valid image" in page.text
        assert name not in visitor.get("").text


class TestDuotone:
    """The demo's own processor."""

    def test_greys_lie_between_the_two_inks(self) -> None:
        """The darkest pixel takes one ink, the lightest the other; the size stays."""
        image = Image.linear_gradient("L")
        processor = Duotone("#1d1a4b", "#ffd9a0")
        result = processor.process(image)
        assert result.getpixel((0, 0)) == (0x1D, 0x1A, 0x4B)
        assert result.getpixel((255, 255)) == (0xFF, 0xD9, 0xA0)
        assert result.size == image.size == processor.output_size(image.size)
