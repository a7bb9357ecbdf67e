"""Runs the examples in the docstrings of one module."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import warnings
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.test import override_settings

from tests.docs._pages import DOCTEST_FLAGS, Checker, Page

__all__ = ["run_module"]

#: What examples take for granted: the names that their readers would have imported.
_PRELUDE = """
import io
import attrs
from django import forms
from django.contrib import admin
from django.core.cache import cache, caches
from django.core.files.storage import default_storage, storages
from django.db import models
from PIL import Image, ImageOps
from imagekit_registry import ImageSpec, get_image, prefetch_images, register, unregister
from imagekit_registry.admin import AdminThumbnail, ImageAdminMixin
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.locks import *
from django.core.cache.backends.locmem import LocMemCache
from imagekit_registry.cachefiles.backends import DatabaseImageCacheBackend
from imagekit_registry.state import CacheFileRecord, Status
from imagekit_registry.cachefiles.state import *
from imagekit_registry.state import CacheStateStore, DatabaseStateStore
from imagekit_registry.exceptions import *
from imagekit_registry.models import ImageSpecField, ProcessedImageField
from imagekit_registry.processors import *
from django.urls import include, path
from imagekit_registry.serving import AsyncImageView, ImageView, image_urls
from imagekit_registry.specs import SpecHost
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from imagekit_registry.utils import get_field_info
storage = default_storage
add_photo("rocket.jpg", name="bulldog.jpg")
photos = list(Photo.objects.all())
photo = photos[0]
name = "CACHE/images/a.jpg"
default_storage.save("photos/a.jpg", io.BytesIO(b""))


class Thumbnail(ImageSpec):
    processors = [ResizeToFill(100, 60)]
    format = "JPEG"
    options = {"quality": 60}


def make(name):
    default_storage.save(name, io.BytesIO(b""))
"""


def run_module(name: str) -> dict[str, Any]:
    """Run the examples of the module *name*."""
    for guest in ("imagekit_registry.contrib.easy", "imagekit_registry.contrib.versatile"):
        if name.startswith(guest):
            # Apps for those who come from elsewhere have tags of one name.
            override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, guest]).enable()
    page = Page([])
    module = importlib.import_module(name)
    exec(_PRELUDE, page.names)
    page.names.update({key: value for key, value in vars(module).items() if key[:1] != "_"})
    # Examples may write the model anew.
    names = {**page.names, "__name__": "photos.models"}
    warnings.filterwarnings("ignore", "Model '.*' was already registered")
    problems, ran = [], 0
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if not test.examples:
            continue
        # A row of its own: what another example has made would be there already.
        test.globs = {**names, "photo": names["Photo"].objects.get(pk=names["photo"].pk)}
        for model in apps.get_app_config("photos").get_models():
            if admin.site.is_registered(model):
                admin.site.unregister(model)
        out = io.StringIO()
        runner = doctest.DocTestRunner(Checker(), optionflags=DOCTEST_FLAGS, verbose=False)
        with contextlib.redirect_stdout(out):
            failed = runner.run(test, out=out.write, clear_globs=False).failed
        ran += len(test.examples)
        if failed:
            problems.append(out.getvalue())
    return {"ran": ran, "not_run": [], "skipped": [], "problems": problems}
