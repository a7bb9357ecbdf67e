"""The gallery's pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.views.generic import CreateView, DetailView, ListView, UpdateView

from demo.gallery.forms import PointForm, UploadForm
from demo.gallery.imagegenerators import SPECS
from demo.gallery.models import Photo
from imagekit_registry import prefetch_images


class Gallery(ListView):
    """All photographs, the newest first."""

    model = Photo
    template_name = "gallery/gallery.html"
    context_object_name = "photos"
    paginate_by = settings.PER_PAGE

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Fetch what is known of the images of one field for the whole page at once."""
        context = super().get_context_data(**kwargs)
        prefetch_images(context["photos"], "duotone")
        return context


class ContactSheet(ListView):
    """All photographs at once, on a page that makes no image."""

    model = Photo
    template_name = "gallery/sheet.html"
    context_object_name = "photos"


@attrs.frozen
class Variant:
    """One way to show a photograph.

    Args:
        id: The id of the spec.
        title: What it is called.
        recipe: Its processors, as one would write them.
        format: The format of the result.
    """

    id: str
    title: str
    recipe: str
    format: str


def _variants() -> Iterator[Variant]:
    for id, spec in SPECS.items():
        yield _variant(id, spec.title, spec)


def _variant(id: str, title: str, spec: Any) -> Variant:
    recipe = ", ".join(_as_code(processor) for processor in spec.processors)
    return Variant(id, title, recipe, spec.format or "")


def _as_code(processor: Any) -> str:
    """Return the call that makes *processor*, without arguments that are the default."""
    fields = attrs.fields(type(processor))
    values = [(getattr(processor, field.name), field.default) for field in fields]
    given = ", ".join(repr(value) for value, default in values if value != default)
    return f"{type(processor).__name__}({given})"


class PhotoPage(DetailView):
    """One photograph in many ways."""

    model = Photo
    template_name = "gallery/photo.html"
    context_object_name = "photo"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the specs that take any source, and that of the model's own field."""
        context = super().get_context_data(**kwargs)
        field = context["photo"].duotone
        duotone = _variant(field.spec_id, "In two inks", field.generator)
        return {**context, "variants": list(_variants()), "duotone": duotone}


class Upload(CreateView):
    """Takes a photograph from anybody: the demo is served on localhost alone."""

    model = Photo
    form_class = UploadForm
    template_name = "gallery/upload.html"

    def form_valid(self, form: UploadForm) -> HttpResponse:
        """Say what has become of the upload."""
        response = super().form_valid(form)
        photo = self.object
        messages.success(
            self.request,
            f"“{photo.title}” is stored as JPEG, {photo.width} × {photo.height} pixels.",  # noqa: RUF001
        )
        return response


class Point(UpdateView):
    """Moves the focal point of a photograph: all its crops are made anew."""

    model = Photo
    form_class = PointForm
    template_name = "gallery/point.html"
