"""Thumbnails in lists of the admin, and a file input that shows the image."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.db import models
from django.http import HttpRequest
from django.template.loader import get_template
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.cachefiles.prefetch import fetch_together
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidArgument,
    MissingSource,
    answer_or,
)
from imagekit_registry.html import build_attributes
from imagekit_registry.models import FocalPointField
from imagekit_registry.registry import ADMIN_PREVIEW_ID

_logger = logging.getLogger("imagekit_registry.admin")

_TEMPLATE = "imagekit/admin/thumbnail.html"
_STYLE = forms.Media(css={"all": ["imagekit/admin.css"]})
_OWN_TEMPLATE = str(Path(__file__).parent.parent / "templates" / _TEMPLATE)
#: Ends the text of a point that is none, whose numbers are per cent already.
_AS_TYPED = " %"


class AdminThumbnail:
    """A column of thumbnails for a list in the admin, or a read-only field of a form there.

    In place of an image that cannot be made stands what ``IMAGEKIT_ON_ERROR`` says; where that is
    ``"raise"``, the cause, for the admin is where a broken image is replaced.

    Args:
        image_field: The name of an image field or image spec field of the model, or a callable
            that takes the model instance and returns an image.
        template: The name of a template that gets ``model``, ``thumbnail``, ``original_image`` (the
            source of a spec), and ``link``, ``width``, ``height`` and ``image`` (the finished
            element, within its link), which may be empty.

    Example:
        >>> @admin.register(Photo)
        ... class PhotoAdmin(admin.ModelAdmin):
        ...     list_display = ["__str__", "admin_thumbnail"]
        ...     admin_thumbnail = AdminThumbnail("thumbnail")
    """

    short_description: Any = _("Thumbnail")

    def __init__(
        self, image_field: str | Callable[[Any], Any], template: str | None = None
    ) -> None:
        self.image_field = image_field
        self.template = template
        # What the admin calls a column that is no name of one.
        self.__name__ = image_field if isinstance(image_field, str) else "thumbnail"

    def __call__(self, obj: models.Model) -> SafeString | str:
        """Return the HTML for one model instance.

        Raises:
            InvalidArgument: The model has no such field.
        """
        thumbnail = self.image_of(obj)
        # A cache file that has a name is to be made; it would be false where it is missing.
        is_there = thumbnail.name if isinstance(thumbnail, ImageCacheFile) else thumbnail
        if not is_there:
            return ""
        try:
            return self._render(obj, thumbnail)
        except MissingSource:
            return ""
        except GenerationError as error:
            _logger.warning("The thumbnail of %r cannot be shown: %s", obj, error)
            return _tell_cause(error)
        except Exception as error:
            if conf.ON_ERROR == "raise":
                raise
            # One storage that does not answer must not take the list away with it.
            _logger.warning("The thumbnail of %r cannot be shown: %s", obj, error)
            return ""

    def image_of(self, obj: models.Model) -> Any:
        """Return the image of one model instance, which need not exist.

        Raises:
            InvalidArgument: The model has no such field.
        """
        if callable(self.image_field):
            return self.image_field(obj)
        try:
            return getattr(obj, self.image_field)
        except AttributeError as error:
            if hasattr(type(obj), self.image_field):
                raise
            raise InvalidArgument(
                f"AdminThumbnail({self.image_field!r}) is used for a {type(obj).__name__}, which"
                " has no such field. Name one of its image fields or image spec fields."
            ) from error

    def _render(self, obj: models.Model, thumbnail: Any) -> SafeString:
        # Only a cache file knows its size without being opened.
        is_cache_file = isinstance(thumbnail, ImageCacheFile)
        shown = thumbnail.shown() if is_cache_file else Fallback(thumbnail.url)
        original = (is_cache_file and thumbnail.source) or thumbnail
        link = _link_to(obj, original)
        image = _linked_img(obj, shown, link)
        template: Any = get_template(self.template or _TEMPLATE)
        if template.origin.name == _OWN_TEMPLATE:
            # It is the element and nothing else: a list need not render it a hundred times.
            return image
        context = {
            "model": obj,
            "thumbnail": thumbnail,
            "original_image": original,
            "link": link,
            "width": shown.width,
            "height": shown.height,
            "image": image,
        }
        return SafeString(template.render(context))


def _linked_img(obj: models.Model, shown: Fallback, link: str) -> SafeString:
    """Return the element, within its link if it has one; nothing if there is nothing to show."""
    if not shown.url:
        return SafeString("")
    attributes = {
        "class": "imagekit-thumbnail",
        "src": shown.url,
        "width": shown.width,
        "height": shown.height,
        "alt": obj,
        "loading": "lazy",
    }
    img = f"<img{build_attributes(attributes)}>"
    return SafeString(f"<a{build_attributes({'href': link})}>{img}</a>" if link else img)


def _link_to(obj: models.Model, original: object) -> str:
    """Return the address of the object's page, else of the original image, else nothing."""
    get_absolute_url = getattr(obj, "get_absolute_url", None)
    if get_absolute_url is not None:
        try:
            return str(get_absolute_url())
        except NoReverseMatch:
            # The page may belong to another site than the one that runs the admin.
            _logger.debug("%r has no page here", obj, exc_info=True)
    return str(getattr(original, "url", ""))


def _tell_cause(error: GenerationError) -> SafeString:
    """Return what stands in place of an image that cannot be made."""
    return format_html(
        '<span class="imagekit-missing">{} {}</span>', _("No thumbnail:"), error.cause
    )


class _Preview(NamedTuple):
    """What is shown beside the file input."""

    url: str = ""
    width: int | None = None
    height: int | None = None
    problem: str = ""  # Why there is no URL.


class ImageAdminWidget(AdminFileWidget):
    """Django's own file input with a preview of the stored image and the usual box to clear it.

    With JavaScript it takes a file that is dropped on it, and shows what was chosen before it is saved.

    Attributes:
        preview_id: The id of the generator that makes the preview.
    """

    template_name = "imagekit/admin/clearable_image_input.html"
    preview_id = ADMIN_PREVIEW_ID
    # In a fieldset the name of the field would be a legend, and the input itself without a label.
    use_fieldset = False

    class Media:
        css = {"all": ["imagekit/admin.css"]}
        js = ["imagekit/admin.js"]

    def is_initial(self, value: Any) -> bool:
        """Return whether *value* is a stored image; an upload that is not saved yet is none."""
        return bool(getattr(value, "_committed", True) and super().is_initial(value))

    def get_context(self, name: str, value: object, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the preview to what Django's template is given."""
        context = super().get_context(name, value, attrs)
        context["widget"]["preview"] = self._get_preview(value) if self.is_initial(value) else None
        return context

    def _get_preview(self, value: object) -> _Preview:
        try:
            file = get_image(self.preview_id, source=value)
            # Not by way of the URL: the form must open whatever IMAGEKIT_ON_ERROR says, so that
            # the broken image can be replaced.
            file.generate()
            return _Preview(file.url, file.width, file.height)
        except GenerationError as error:
            return _Preview(problem=error.cause)
        except Exception as error:  # noqa: BLE001 -- storages raise what their clients raise
            _logger.warning("The preview of %r cannot be shown: %s", str(value), error)
            return _Preview(problem=type(error).__name__)


class FocalPointWidget(forms.Widget):
    """The input for a focal point: two numbers, and with JavaScript a pad over the image.

    The pad takes pointer, touch and arrow keys (1%, with Shift 10%), and shows the crops of the
    model's specs as the point moves, before anything is saved and for a file that was just chosen.
    While there is no point it shows what a detector has suggested, which one click takes over.
    """

    template_name = "imagekit/admin/focal_point.html"
    use_fieldset = True

    class Media:
        css = {"all": ["imagekit/admin.css"]}
        js = ["imagekit/admin.js"]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the numbers, in per cent, the box, which is kept as it is, and the suggestion."""
        context = super().get_context(name, value, attrs)
        widget = context["widget"]
        x, y, box = _parts(value)
        labels = (("x", _("From the left, in %"), x), ("y", _("From the top, in %"), y))
        widget["axes"] = [
            {"name": axis, "label": label, "value": part} for axis, label, part in labels
        ]
        widget["box"] = box
        if suggested := widget["attrs"].get("data-suggestion"):
            widget["suggestion"] = dict(zip(("x", "y", "box"), _parts(suggested), strict=True))
        widget["attrs"].setdefault("id", f"id_{name}")
        return context

    def value_from_datadict(self, data: Any, files: object, name: str) -> str | None:
        """Return the text of the point; of numbers that are none, what the field refuses."""
        x, y = data.get(f"{name}_x"), data.get(f"{name}_y")
        if x is None and y is None:
            text: str | None = data.get(name)
            return text
        if not (x or y):
            return ""
        numbers = answer_or("", lambda: f"{float(x) / 100:.3f},{float(y) / 100:.3f}")
        box = data.get(f"{name}_box")
        text = (numbers or f"{x or ''},{y or ''}") + (f",{box}" if box else "")
        return text if numbers else text + _AS_TYPED

    def value_omitted_from_data(self, data: Any, files: object, name: str) -> bool:
        """Return whether none of the inputs was sent."""
        return not {name, f"{name}_x", f"{name}_y"}.intersection(data)

    def id_for_label(self, id_: str, index: str = "0") -> str:
        """Return nothing: a legend stands above, and each number has a label of its own."""
        return ""


def _parts(point: object) -> tuple[str, str, str]:
    """Return the two numbers of a point in per cent, and its box; of what was refused as it was typed."""
    text = str(point or "")
    typed = text.removesuffix(_AS_TYPED)
    x, y, *box = typed.split(",") if "," in typed else ("", "")
    if typed == text:
        x, y = _in_percent(x), _in_percent(y)
    return x, y, ",".join(box)


def _in_percent(part: str) -> str:
    return answer_or(part, lambda: f"{float(part) * 100:.4g}") if part else ""


class ImageAdminMixin:
    """Gives image fields and focal points of a ``ModelAdmin``, or of an inline, inputs with previews.

    ``formfield_overrides`` of the class itself come first. The columns of thumbnails in its list are
    looked up together, in one round trip.

    Example:
        >>> @admin.register(Photo)
        ... class PhotoAdmin(ImageAdminMixin, admin.ModelAdmin):
        ...     pass
    """

    formfield_overrides: Any = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.formfield_overrides = {
            models.ImageField: {"widget": ImageAdminWidget},
            FocalPointField: {"widget": FocalPointWidget},
            **self.formfield_overrides,
        }
        super().__init__(*args, **kwargs)

    @property
    def media(self) -> forms.Media:
        """Bring along the style of thumbnails, to lists too, which have no input that would."""
        media: forms.Media = super().media  # type: ignore[misc]
        return media + _STYLE

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Fetch the state of the images in all columns of the list, before it is shown."""
        changelist = super().get_changelist_instance(request)  # type: ignore[misc]
        if request.method == "GET":
            columns = [
                getattr(self, each, None) if isinstance(each, str) else each
                for each in changelist.list_display
            ]
            shown = [column for column in columns if isinstance(column, AdminThumbnail)]
            rows = changelist.result_list if shown else ()
            # A column that fails for a row says so in its place.
            fetch_together([answer_or(None, each.image_of, row) for each in shown] for row in rows)
        return changelist
