"""Models with images, one for each way in which a field can be declared."""

from __future__ import annotations

from typing import Any

from django.db import models

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles.backends import DatabaseImageCacheBackend
from imagekit_registry.cachefiles.strategies import Optimistic
from imagekit_registry.models import FocalPointField, ImageSpecField, ProcessedImageField
from imagekit_registry.processors import Adjust, ResizeToFill, ResizeToFit
from imagekit_registry.utils import get_field_info
from imagekit_registry.validators import ImageLimits


class Thumbnail(ImageSpec):
    """A spec as in the documentation."""

    processors = [ResizeToFill(100, 60)]
    format = "JPEG"
    options = {"quality": 60}


class CountingStrategy:
    """A strategy that counts what it is told and does nothing."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.deleted: list[str] = []

    def on_source_saved(self, file: Any) -> None:
        self.saved.append(str(file.source.name))

    def on_source_deleted(self, file: Any) -> None:
        self.deleted.append(str(file.source.name))


class Plain(models.Model):
    """A model whose images feed no spec."""

    title = models.CharField(max_length=50, blank=True)
    image = models.ImageField(upload_to="plain", blank=True)


class Photo(models.Model):
    """One image field, so that its specs need not name it."""

    title = models.CharField(max_length=50, blank=True)
    original_image = models.ImageField(upload_to="photos", blank=True)

    thumbnail = ImageSpecField(
        [Adjust(contrast=1.2, sharpness=1.1), ResizeToFill(50, 50)],
        format="JPEG",
        options={"quality": 90},
    )
    banner = ImageSpecField([ResizeToFill(300, 100)], source="original_image", format="WEBP")
    with_spec = ImageSpecField(source="original_image", spec=Thumbnail)

    def __str__(self) -> str:
        return self.title or "a photo"


class PhotoProxy(Photo):
    """The same rows under another name."""

    class Meta:
        proxy = True


class PhotoChild(Photo):
    """A table of its own that continues the photographs'."""

    place = models.CharField(max_length=50, blank=True)


class AbstractPhoto(models.Model):
    """Declares the image and its spec for others."""

    image = models.ImageField(upload_to="abstract", blank=True)
    small = ImageSpecField([ResizeToFill(40, 40)], source="image", format="PNG")
    implicit = ImageSpecField([ResizeToFill(30, 30)])

    class Meta:
        abstract = True


class Concrete(AbstractPhoto):
    """Inherits image and spec."""

    title = models.CharField(max_length=50, blank=True)


class ConcreteChild(Concrete):
    """Inherits them from a model with a table."""

    album = models.ForeignKey("Album", models.CASCADE, null=True, related_name="pictures")


class Album(models.Model):
    """Has photographs that go with it."""

    title = models.CharField(max_length=50, blank=True)


class AlbumPhoto(models.Model):
    """A photograph that is deleted with its album; its strategy counts what it is told."""

    strategy = CountingStrategy()

    album = models.ForeignKey(Album, models.CASCADE, null=True, related_name="photos")
    title = models.CharField(max_length=50, blank=True)
    image = models.ImageField(upload_to="albums", blank=True)
    other = models.ImageField(upload_to="albums", blank=True)

    small = ImageSpecField(
        [ResizeToFill(20, 20)], source="image", format="JPEG", cachefile_strategy=strategy
    )
    smaller = ImageSpecField(
        [ResizeToFill(10, 10)], source="image", format="JPEG", cachefile_strategy={}
    )

    def __str__(self) -> str:
        return self.title


class Profile(models.Model):
    """Processed uploads, with the dimensions before and after the image."""

    width = models.PositiveIntegerField(null=True, editable=False)
    avatar = ProcessedImageField(
        [ResizeToFill(64, 48)],
        format="JPEG",
        options={"quality": 90},
        upload_to="avatars",
        width_field="width",
        height_field="height",
        blank=True,
    )
    height = models.PositiveIntegerField(null=True, editable=False)
    name = models.CharField(max_length=50, blank=True)

    def __str__(self) -> str:
        return self.name


class ProfileChild(Profile):
    """Inherits the processed field from a model with a table."""

    nickname = models.CharField(max_length=50, blank=True)


class Cover(models.Model):
    """A processed upload by a spec, which another spec field is made of."""

    image = ProcessedImageField(spec=Thumbnail, upload_to="covers", blank=True)
    small = ImageSpecField([ResizeToFill(16, 16)], source="image", format="PNG")


class ByEdge(ImageSpec):
    """A recipe that depends on the row; it does not work without one."""

    format = "PNG"

    @property
    def processors(self) -> Any:
        row, _ = get_field_info(self.source)
        return [ResizeToFill(row.edge, row.edge)]


class AbstractBadge(models.Model):
    """Declares a processed upload for others."""

    edge = models.PositiveIntegerField(default=20)
    image = ProcessedImageField(spec=ByEdge, upload_to="badges", blank=True)

    class Meta:
        abstract = True


class Badge(AbstractBadge):
    """Inherits a processed upload, and has one whose spec has an id of its own."""

    icon = ProcessedImageField(
        [ResizeToFill(9, 9)],
        format="PNG",
        spec_id="testapp:icon",
        upload_to="icons",
        blank=True,
    )


class Portrait(models.Model):
    """An image with a focal point."""

    title = models.CharField(max_length=50, blank=True)
    image = models.ImageField(upload_to="portraits", blank=True)
    focal_point = FocalPointField(image_field="image")

    card = ImageSpecField([ResizeToFill(40, 40, anchor="focal")], source="image", format="PNG")
    near = ImageSpecField(
        [ResizeToFill(40, 20, anchor="focal", otherwise="top", closeness=100)],
        source="image",
        format="PNG",
    )
    whole = ImageSpecField([ResizeToFit(100, 100)], source="image", format="PNG")


class Watermark:
    """A processor as the old documentation has it: nothing but ``process``."""

    def process(self, image: Any) -> Any:
        image = image.convert("RGB")
        image.paste((255, 0, 0), (0, 0, image.width // 4, image.height // 4))
        return image


class RecordingImageCacheBackend:
    """An old image cache backend that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def validate(self, file: Any) -> None:
        self.calls.append(("validate", file.name))
        file.generate()

    def invalidate(self, file: Any) -> None:
        self.calls.append(("invalidate", file.name))
        file.delete()

    def clear(self, file: Any) -> None:
        self.calls.append(("clear", file.name))
        file.delete()


def beside_the_row(instance: Any, path: str, specname: str, extension: str) -> str:
    """Name a cache file as old code does, in a ``cache_to`` of its own."""
    return f"elsewhere/{instance.name}/{specname}{extension}"


class OldPhoto(models.Model):
    """A model as the first ImageKit's documentation has it."""

    recording = RecordingImageCacheBackend()

    name = models.CharField(max_length=100)
    original_image = models.ImageField(upload_to="photos", blank=True)

    formatted_image = ImageSpecField(
        image_field="original_image", format="JPEG", options={"quality": 90}
    )
    thumbnail = ImageSpecField(
        [ResizeToFill(50, 50)], image_field="original_image", format="JPEG", options={"quality": 90}
    )
    watermarked = ImageSpecField([Watermark()], image_field="original_image", format="PNG")
    recorded = ImageSpecField(
        [ResizeToFill(20, 20)],
        image_field="original_image",
        format="JPEG",
        image_cache_backend=recording,
    )
    in_table = ImageSpecField(
        [ResizeToFill(30, 30)],
        image_field="original_image",
        format="JPEG",
        image_cache_backend=DatabaseImageCacheBackend(),
    )
    elsewhere = ImageSpecField(
        [ResizeToFill(40, 40)],
        image_field="original_image",
        format="JPEG",
        cache_to=beside_the_row,
    )
    in_folder = ImageSpecField(
        [ResizeToFill(41, 41)], image_field="original_image", format="JPEG", cache_to="folder/small"
    )
    early = ImageSpecField(
        [ResizeToFill(60, 60)], image_field="original_image", format="JPEG", pre_cache=True
    )

    def __str__(self) -> str:
        return self.name


class Limited(models.Model):
    """An image that must not be of any size and format."""

    title = models.CharField(max_length=50, blank=True)
    image = models.ImageField(
        upload_to="limited",
        blank=True,
        validators=[
            ImageLimits(
                max_pixels=300_000,
                max_bytes=500_000,
                min_size=(50, 40),
                max_size=(800, 800),
                formats=["JPEG", "PNG"],
            )
        ],
    )
    small = ImageSpecField([ResizeToFill(20, 20)], source="image", format="JPEG")


class Owner(models.Model):
    """Has an account, which has an image."""

    name = models.CharField(max_length=50, blank=True)
    icon = ImageSpecField([ResizeToFill(12, 12)], source="account__image", format="PNG")


class Account(models.Model):
    """A row to which others relate for the sake of its image."""

    owner = models.OneToOneField(Owner, models.CASCADE, null=True, related_name="account")
    image = models.ImageField(upload_to="accounts", blank=True)


class Article(models.Model):
    """Shows the image of a related row, and that of a row behind that."""

    title = models.CharField(max_length=50, blank=True)
    account = models.ForeignKey(Account, models.SET_NULL, null=True)

    thumbnail = ImageSpecField([ResizeToFill(30, 20)], source="account__image", format="PNG")
    icon = ImageSpecField([ResizeToFill(9, 9)], source="account__image", format="PNG")
    far = ImageSpecField(
        [ResizeToFill(8, 8)], source="account__owner__account__image", format="PNG"
    )


def under_key(instance: models.Model, name: str) -> str:
    """Name an upload by the key of its row, which a new one lacks."""
    return f"keyed/{instance.pk}/{name}"


class AbstractKeyed(models.Model):
    """Images under the key of their row, made of as soon as they are saved."""

    title = models.CharField(max_length=50, blank=True)
    image = models.ImageField(upload_to=under_key, blank=True)
    other = models.ImageField(upload_to=under_key, blank=True, null=True)
    avatar = ProcessedImageField(
        [ResizeToFill(30, 20)], format="PNG", upload_to=under_key, blank=True
    )

    of_image = ImageSpecField(
        [ResizeToFill(9, 9)], source="image", format="PNG", cachefile_strategy=Optimistic()
    )
    of_other = ImageSpecField(
        [ResizeToFill(8, 8)], source="other", format="PNG", cachefile_strategy=Optimistic()
    )
    of_avatar = ImageSpecField(
        [ResizeToFill(7, 7)], source="avatar", format="PNG", cachefile_strategy=Optimistic()
    )

    class Meta:
        abstract = True

    def take_images(self) -> dict[str, Any]:
        """Return the images, and leave none."""
        kept = {name: getattr(self, name) for name in ("image", "other", "avatar")}
        self.put_back(dict.fromkeys(kept))
        return kept

    def put_back(self, kept: dict[str, Any]) -> None:
        """Take *kept* for the images again."""
        for name, image in kept.items():
            setattr(self, name, image)


class Keyed(AbstractKeyed):
    """Saves a new row without its images, and then with them."""

    #: What the second save is told, beside the database.
    again: dict[str, Any] = {}

    def save(self, **options: Any) -> None:
        """Save a new row twice."""
        if self._state.adding:
            kept = self.take_images()
            super().save(**options)
            self.put_back(kept)
            options = {"using": options.get("using"), **self.again}
        super().save(**options)


class KeyedProxy(Keyed):
    """The same rows under another name."""

    class Meta:
        proxy = True


class KeyedChild(Keyed):
    """A table of its own that continues these rows."""

    place = models.CharField(max_length=50, blank=True)


class KeyedBySignals(AbstractKeyed):
    """Leaves that to receivers of signals."""

    held: dict[str, Any] = {}
