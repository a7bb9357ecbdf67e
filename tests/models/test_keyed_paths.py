"""Rows that are saved without their images first, because the images' paths need the rows' keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models.signals import post_save, pre_save
from django.forms import modelform_factory
from django.test import Client

from tests.storages import content_of
from tests.testapp.models import Keyed, KeyedBySignals, KeyedChild, KeyedProxy

pytestmark = pytest.mark.django_db(transaction=True)

_NAMES = ("image", "other", "avatar")


def _hold(sender: Any, instance: Any, **kwargs: Any) -> None:
    if isinstance(instance, KeyedBySignals) and instance._state.adding:
        instance.held = instance.take_images()


def _put_back(sender: Any, instance: Any, created: bool, **kwargs: Any) -> None:
    if isinstance(instance, KeyedBySignals) and created:
        instance.put_back(instance.held)
        instance.save()


@pytest.fixture
def receivers(kind: str) -> Iterator[None]:
    """Listen to the signals of all models, as a project does: after the library, or before it."""
    pre_save.connect(_hold)
    post_save.connect(_put_back)
    if kind == "before":
        post_save.receivers.insert(0, post_save.receivers.pop())
    yield
    pre_save.disconnect(_hold)
    post_save.disconnect(_put_back)


def _uploads(photos: Path) -> dict[str, Any]:
    data = (photos / "coffee.png").read_bytes()
    return {name: SimpleUploadedFile(f"{name}.png", data, "image/png") for name in _NAMES}


def _form(model: Any, photos: Path) -> Any:
    form_class: Any = modelform_factory(model, fields=["title", *_NAMES])
    return form_class({"title": "a"}, _uploads(photos))


def _by_form(model: Any, photos: Path) -> None:
    form = _form(model, photos)
    assert form.is_valid(), form.errors
    form.save()


def _by_form_and_later(model: Any, photos: Path) -> None:
    form = _form(model, photos)
    row = form.save(commit=False)
    kept = row.take_images()
    row.save()
    row.put_back(kept)
    row.save(update_fields=_NAMES)


def _by_the_admin(model: Any, photos: Path) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", "admin@example.com", "admin"))
    url = f"/admin/testapp/{model._meta.model_name}/add/"
    assert client.post(url, {"title": "a", **_uploads(photos)}).status_code == 302


def _asynchronously(model: Any, photos: Path) -> None:
    asyncio.run(model(**_uploads(photos)).asave())


def _in_a_transaction(model: Any, photos: Path) -> None:
    with transaction.atomic():
        model.objects.create(**_uploads(photos))
        assert not default_storage.exists("CACHE")


def _from_the_storage(model: Any, photos: Path) -> None:
    content = content_of(photos / "coffee.png")
    model.objects.create(**{name: default_storage.save(f"{name}.png", content) for name in _NAMES})


def _saved_without(model: Any, photos: Path) -> tuple[Any, dict[str, Any]]:
    """Return a row that is saved without its images, and these."""
    row = model(**_uploads(photos))
    kept = row.take_images()
    row.save()
    return row, kept


def _into_another(model: Any, photos: Path) -> None:
    row, kept = _saved_without(model, photos)
    again = model.objects.get(pk=row.pk)
    again.put_back(kept)
    again.save()


def _into_a_row_of_another_class(model: Any, photos: Path) -> None:
    row, kept = _saved_without(model, photos)
    base = model._meta.concrete_model
    parent = next(iter(base._meta.parents), base)
    again = parent.objects.get(pk=row.pk)
    again.put_back(kept)
    again.save()


def _one_after_the_other(model: Any, photos: Path) -> None:
    row, kept = _saved_without(model, photos)
    for name, image in kept.items():
        setattr(row, name, image)
        row.save(update_fields=[name])


def _at_the_commit(model: Any, photos: Path) -> None:
    def put_back() -> None:
        row.put_back(kept)
        row.save()

    with transaction.atomic():
        row, kept = _saved_without(model, photos)
        transaction.on_commit(put_back)


_WAYS: dict[str, Callable[[Any, Path], object]] = {
    "created": lambda model, photos: model.objects.create(**_uploads(photos)),
    "acreated": lambda model, photos: asyncio.run(model.objects.acreate(**_uploads(photos))),
    "saved asynchronously": _asynchronously,
    "in a transaction": _in_a_transaction,
    "by names": _from_the_storage,
    "into another instance": _into_another,
    "into a row of another class": _into_a_row_of_another_class,
    "one after the other": _one_after_the_other,
    "at the commit": _at_the_commit,
    "by a form": _by_form,
    "by a form, and saved later": _by_form_and_later,
    "by the admin": _by_the_admin,
}


@pytest.mark.usefixtures("receivers")
@pytest.mark.parametrize("way", list(_WAYS))
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Keyed, "all"),
        (Keyed, "images"),
        (KeyedProxy, "all"),
        (KeyedChild, "images"),
        (KeyedBySignals, "after"),
        (KeyedBySignals, "before"),
    ],
)
def test_images_are_made_once_the_row_is_committed(
    model: Any, kind: str, way: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its fields, in its own size, under a path with the key; nothing is asked for."""
    monkeypatch.setattr(Keyed, "again", {"update_fields": _NAMES} if kind == "images" else {})
    _WAYS[way](model, photos)
    row = model.objects.get()
    for name, size in zip(_NAMES, (9, 8, 7), strict=True):
        assert way == "by names" or getattr(row, name).name == f"keyed/{row.pk}/{name}.png"
        file = getattr(row, f"of_{name}")
        assert default_storage.exists(file.name), name
        assert (file.width, file.height) == (size, size)
    assert way == "by names" or row.avatar.width == 30
