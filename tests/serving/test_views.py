"""The views behind on-demand URLs: what is sent, for how long it may be kept, and who may see it."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connections
from django.http import HttpRequest
from django.test import AsyncClient, Client
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, signals
from imagekit_registry.cachefiles.urls import Prefix
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging import Limits
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.registry import generator_registry, unregister
from imagekit_registry.serving import AsyncImageView, ImageView
from imagekit_registry.serving._answers import choose, parse_range
from imagekit_registry.serving.views import _turn
from tests.serving.conftest import SPEC, Small
from tests.storages import CountingStorage, RemoteStorage

SHORTLY = "public, max-age=60"
FOR_EVER = "public, max-age=31536000, immutable"
#: What Pillow can write, of what Chrome takes.
BEST = "AVIF" if can_write("AVIF") else "WEBP"
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
CURL = "*/*"


class Large(ImageSpec):
    """An image of more bytes than are read at once."""

    processors = [ResizeToFit(1500)]
    format = "PNG"
    options = {"compress_level": 0}


def body(response: Any) -> bytes:
    """Return all that is sent."""
    return b"".join(response.streaming_content) if response.streaming else response.content


def refuse(request: HttpRequest, file: Any) -> bool:
    """Let nobody see anything."""
    return False


async def let_staff_in_time(request: HttpRequest, file: Any) -> bool:
    """The same, by asking something that has to be waited for."""
    await asyncio.sleep(0)
    return let_staff(request, file)


def let_staff(request: HttpRequest, file: Any) -> bool:
    """Let those see what is theirs who say so."""
    if request.headers.get("X-Staff") != "yes":
        raise PermissionDenied
    return bool(file.source.name == "photos/rocket.jpg")


class TestContent:
    """The image itself."""

    def test_the_image_is_made_when_it_is_asked_for(self, small: Any, client: Client) -> None:
        """It comes with its type and length, and browsers do not guess another type."""
        response = client.get(small().url)
        with Image.open(io.BytesIO(response.content)) as image:
            assert (image.format, image.size) == ("WEBP", (100, 67))
        assert response["Content-Type"] == "image/webp"
        assert response["Content-Length"] == str(len(response.content))
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_a_head_request_is_told_what_a_get_request_would_be(
        self, small: Any, client: Client
    ) -> None:
        """But for the content."""
        url = small().url
        head, get = client.head(url), client.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert dict(head.headers) == dict(get.headers)

    @pytest.mark.parametrize("spec", [Small, Large])
    @pytest.mark.parametrize(
        ("wanted", "cut"),
        [
            ("bytes=0-9", slice(0, 10)),
            ("bytes=10-", slice(10, None)),
            ("bytes=-7", slice(-7, None)),
            ("bytes=5-99999999", slice(5, None)),
        ],
    )
    def test_a_range_is_sent_alone(
        self, spec: Any, wanted: str, cut: slice, name: str, client: Client
    ) -> None:
        """With its place in the whole."""
        register.generator("tests:ranged", spec)
        url = get_image("tests:ranged", source=name).demand_url()
        whole = body(client.get(url))
        response = client.get(url, headers={"Range": wanted})
        assert response.status_code == 206
        assert body(response) == whole[cut]
        start, stop, _ = cut.indices(len(whole))
        assert response["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"

    @pytest.mark.parametrize(
        "wanted",
        ["bytes=2-1", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=" + "9" * 5000, "\x00é"],
    )
    def test_a_range_that_makes_no_sense_is_ignored(
        self, wanted: str, small: Any, client: Client
    ) -> None:
        """The whole image is sent."""
        response = client.get(small().demand_url(), headers={"Range": wanted})
        assert response.status_code == 200
        assert len(response.content) == small().size

    def test_a_range_behind_the_end_is_refused(self, small: Any, client: Client) -> None:
        """And says where the end is."""
        response = client.get(small().demand_url(), headers={"Range": "bytes=99999999-"})
        assert (response.status_code, response.content) == (416, b"")
        assert response["Content-Range"] == f"bytes */{small().size}"

    def test_a_range_of_an_earlier_image_is_ignored(self, small: Any, client: Client) -> None:
        """Pieces of two images are none."""
        url = small().demand_url()
        etag = client.get(url)["ETag"]
        for condition, status in ((etag, 206), ('"another"', 200)):
            headers = {"Range": "bytes=0-9", "If-Range": condition}
            assert client.get(url, headers=headers).status_code == status

    def test_an_image_whose_file_has_gone_is_made_again(self, small: Any, client: Client) -> None:
        """The record is a hint; the storage is the truth."""
        url = small().demand_url()
        client.get(url)
        storages["default"].delete(small().name)
        assert client.get(url).status_code == 200

    def test_a_width_may_be_asked_for_where_the_spec_lets_it(
        self, settings: Any, name: str, client: Client
    ) -> None:
        """Of those that the settings list, without another signature."""
        settings.IMAGEKIT_WIDTHS = [50, 80]
        url = get_image("serving:wide", source=name).demand_url()
        found = {}
        for width in ("50", "80", "81", "0080", "x", ""):
            response = client.get(url, {"width": width})
            found[width] = response.status_code
            if response.status_code == 200:
                with Image.open(io.BytesIO(response.content)) as image:
                    assert image.width == int(width)
        assert found == {"50": 200, "80": 200, "81": 403, "0080": 403, "x": 403, "": 403}
        fixed = get_image(SPEC, source=name).demand_url()
        with Image.open(io.BytesIO(client.get(fixed, {"width": "50"}).content)) as image:
            assert image.width == 100


class TestCaching:
    """Who may keep an image, and for how long."""

    def test_a_url_that_names_the_content_may_be_kept_for_ever(
        self, small: Any, client: Client
    ) -> None:
        """Before the image exists, it is not known what it will be made of."""
        assert client.get(small().demand_url())["Cache-Control"] == SHORTLY
        assert client.get(small().demand_url())["Cache-Control"] == FOR_EVER

    def test_nobody_keeps_an_image_for_longer_than_its_url_is_good(
        self, small: Any, client: Client
    ) -> None:
        """Also where the URL names the content."""
        small().generate()
        kept = client.get(small().demand_url(expires=30))["Cache-Control"]
        assert kept in {f"public, max-age={seconds}, immutable" for seconds in range(20, 31)}

    def test_a_url_of_an_earlier_content_may_be_kept_shortly(
        self, small: Any, client: Client, name: str
    ) -> None:
        """It shows another image now."""
        small().generate()
        url = small().demand_url()
        storages["default"].delete(name)
        source = (Path(__file__).parents[2] / "demo/photos/coffee.png").read_bytes()
        storages["default"].save(name, ContentFile(source))
        small().generate(force=True)
        assert client.get(url)["Cache-Control"] == SHORTLY
        assert client.get(small().demand_url())["Cache-Control"] == FOR_EVER

    def test_a_view_may_say_itself_for_how_long_images_are_kept(
        self, small: Any, serve: Any, client: Client
    ) -> None:
        """In words of its own."""
        serve(ImageView.as_view(cache_control="public, max-age=5"))
        assert client.get(small().demand_url())["Cache-Control"] == "public, max-age=5"

    def test_what_a_browser_has_is_not_sent_again_and_no_storage_is_asked(
        self, settings: Any, stored_photo: Any, client: Client
    ) -> None:
        """The record says that it is the same."""
        path = f"{CountingStorage.__module__}.{CountingStorage.__qualname__}"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": path}}
        url = get_image(SPEC, source=stored_photo()).demand_url()
        first = client.get(url)
        storage: Any = storages["default"]
        storage.calls.clear()
        for condition in (
            {"If-None-Match": first["ETag"]},
            {"If-None-Match": f'"x", W/{first["ETag"]}'},
            {"If-Modified-Since": first["Last-Modified"]},
        ):
            response = client.get(url, headers=condition)
            assert (response.status_code, response.content) == (304, b"")
            assert response["ETag"] == first["ETag"]
        assert not storage.calls
        assert client.get(url, headers={"If-None-Match": '"x"'}).status_code == 200

    def test_the_etag_is_another_one_for_another_content(
        self, small: Any, client: Client, name: str
    ) -> None:
        """Or for another recipe."""
        url = small().demand_url()
        first = client.get(url)["ETag"]
        storages["default"].delete(name)
        source = (Path(__file__).parents[2] / "demo/photos/coffee.png").read_bytes()
        storages["default"].save(name, ContentFile(source))
        small().generate(force=True)
        assert client.get(url)["ETag"] != first


class TestModes:
    """How it is sent."""

    def test_a_storage_without_paths_sends_itself(self, settings: Any, client: Client) -> None:
        """The browser is sent there, and asks again in a while: the URL may be good for so long."""
        remote = f"{RemoteStorage.__module__}.{RemoteStorage.__qualname__}"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": remote}}
        photo = Path(__file__).parents[2] / "demo/photos/rocket.jpg"
        storages["default"].save("a.jpg", ContentFile(photo.read_bytes()))
        file = get_image(SPEC, source="a.jpg")
        response = client.get(file.demand_url())
        url = storages["default"].url(str(file.name))
        assert (response.status_code, response["Location"]) == (302, url)
        assert response["Cache-Control"] == SHORTLY
        assert storages["default"].exists(str(file.name))

    def test_nginx_sends_what_it_is_told_to(self, small: Any, serve: Any, client: Client) -> None:
        """The location is the path of the storage's URL."""
        serve(ImageView.as_view(mode="accel"))
        response = client.get(small().demand_url())
        assert (response.status_code, response.content) == (200, b"")
        assert response["X-Accel-Redirect"] == storages["default"].url(small().name)
        assert response["Content-Type"] == "image/webp"
        condition = {"If-None-Match": response["ETag"]}
        assert client.get(small().demand_url(), headers=condition).status_code == 304

    def test_names_are_quoted_for_the_web_server(
        self, stored_photo: Any, serve: Any, client: Client
    ) -> None:
        """Headers hold no other letters, and no ends of lines."""
        file = get_image(SPEC, source=stored_photo(name="photos/ü 100%.jpg"))
        serve(ImageView.as_view(mode="accel"))
        told = client.get(file.demand_url())["X-Accel-Redirect"]
        assert told == storages["default"].url(str(file.name))
        assert told.isascii()
        serve(ImageView.as_view(mode="sendfile"))
        assert client.get(file.demand_url())["X-Sendfile"].isascii()

    def test_other_web_servers_are_told_the_path(
        self, small: Any, settings: Any, client: Client
    ) -> None:
        """By the settings, if the view says nothing."""
        settings.IMAGEKIT_SERVING = {"MODE": "sendfile"}
        response = client.get(small().demand_url())
        assert response["X-Sendfile"] == storages["default"].path(small().name)

    def test_a_mode_of_serving_that_does_not_exist_is_refused(self) -> None:
        """The error names those that there are."""
        with pytest.raises(InvalidArgument, match=r"'accle'.+ There are 'accel', 'auto'"):
            ImageView.as_view(mode="accle")

    def test_a_view_class_with_a_mode_that_does_not_exist_is_refused(self) -> None:
        """Its images would be sent without a body, and with the path of their file."""

        class Wrong(ImageView):
            mode = "accle"

        with pytest.raises(InvalidArgument, match=r"'accle'"):
            Wrong.as_view()


class TestPermission:
    """Who may see it."""

    def test_who_may_not_see_an_image_is_refused(
        self, small: Any, serve: Any, client: Client
    ) -> None:
        """Nothing is made, and no cache keeps the answer."""
        serve(ImageView.as_view(permission=refuse))
        response = client.get(small().demand_url())
        assert (response.status_code, response["Cache-Control"]) == (403, "private, no-store")
        assert not small().exists()

    @pytest.mark.parametrize("view", [ImageView, AsyncImageView])
    def test_an_async_permission_is_waited_for(
        self, view: type[ImageView], small: Any, serve: Any, client: Client
    ) -> None:
        """What it gives before is true of everybody."""
        serve(view.as_view(permission=let_staff_in_time))
        url, staff = small().demand_url(), {"X-Staff": "yes"}

        async def ask(**headers: Any) -> int:
            return (await AsyncClient().get(url, **headers)).status_code

        assert (client.get(url).status_code, asyncio.run(ask())) == (403, 403)
        assert not small().exists()
        answers = client.get(url, headers=staff).status_code, asyncio.run(ask(headers=staff))
        assert answers == (200, 200)

    def test_an_async_method_of_a_view_is_waited_for(
        self, small: Any, serve: Any, client: Client
    ) -> None:
        """As what the view is given."""

        class Closed(AsyncImageView):
            async def permission(self, request: HttpRequest, file: Any) -> bool:
                return refuse(request, file)

        serve(Closed.as_view())
        assert client.get(small().demand_url()).status_code == 403

    def test_a_view_class_may_have_a_permission_that_is_no_method(
        self, small: Any, serve: Any, client: Client
    ) -> None:
        """It is said as Python says it."""

        class Closed(ImageView):
            permission = staticmethod(refuse)

        serve(Closed.as_view())
        assert client.get(small().demand_url()).status_code == 403

    def test_what_not_everybody_may_see_is_kept_by_browsers_alone(
        self, small: Any, settings: Any, client: Client
    ) -> None:
        """A cache between would show it to all others."""
        settings.IMAGEKIT_SERVING = {"PERMISSION": f"{__name__}.let_staff"}
        url = small().demand_url()
        assert client.get(url).status_code == 403
        staff = {"X-Staff": "yes"}
        first = client.get(url, headers=staff)
        assert (first.status_code, first["Cache-Control"]) == (200, "private, max-age=60")
        again = client.get(small().demand_url(), headers=staff)
        assert again["Cache-Control"] == FOR_EVER.replace("public", "private")

    @pytest.mark.parametrize(
        "condition",
        [{"If-Match": '"x"'}, {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}],
    )
    def test_a_condition_that_fails_is_answered(
        self, condition: Any, small: Any, serve: Any, client: Client
    ) -> None:
        """As where everybody may see it."""
        serve(ImageView.as_view(permission=lambda request, file: True))
        assert client.get(small().demand_url(), headers=condition).status_code == 412

    def test_a_failure_of_what_not_everybody_may_see_is_no_business_of_others(
        self, serve: Any, client: Client
    ) -> None:
        """Nor is what stands in for it."""
        storages["default"].save("broken.jpg", ContentFile(b"no image"))
        serve(ImageView.as_view(permission=lambda request, file: True))
        response = client.get(get_image(SPEC, source="broken.jpg").demand_url())
        assert response.status_code == 404
        assert response["Cache-Control"].startswith("private, max-age=")


class TestNegotiation:
    """One URL, and for each browser the format that it likes best."""

    @pytest.mark.parametrize(
        ("accept", "best"),
        [
            (CHROME, "image/avif"),
            (FIREFOX, "image/avif"),
            (SAFARI, "image/webp"),
            (CURL, "image/jpeg"),
            ("", "image/jpeg"),
            ("image/avif;q=0, image/webp;q=0.000, */*", "image/jpeg"),
            ("image/avif;q=0.5, image/webp;q=0.9", "image/webp"),
            ("IMAGE/AVIF ; Q=1.000", "image/avif"),
            ("image/webp;q=0.2, image/jpeg", "image/jpeg"),
            ("image/webp;q=2, image/avif;q=x, ;;=,/,\x00", "image/jpeg"),
            ("text/html", "image/jpeg"),
        ],
    )
    def test_an_image_is_sent_in_the_format_that_a_browser_likes_best(
        self, accept: str, best: str
    ) -> None:
        """A quality of 0 is a no, wildcards promise nothing, and what makes no sense is passed over."""
        assert choose(accept, ["image/avif", "image/webp"], "image/jpeg") == best

    def test_each_browser_gets_its_format(self, name: str, serve: Any, client: Client) -> None:
        """And caches are told that it is not the same for all."""
        serve(ImageView.as_view(negotiate=True))
        url = get_image("serving:wide", source=name).demand_url()
        for accept, format in ((CHROME, BEST), (SAFARI, "WEBP"), (CURL, "JPEG")):
            response = client.get(url, headers={"Accept": accept})
            with Image.open(io.BytesIO(response.content)) as image:
                assert (image.format, image.size) == (format, (100, 67))
            assert response["Content-Type"] == f"image/{format.lower()}"
            assert response["Vary"] == "Accept"
        assert client.get(url + "x")["Vary"] == "Accept"

    def test_a_cache_cannot_keep_one_format_for_all(
        self, name: str, serve: Any, client: Client
    ) -> None:
        """Where browsers are sent to the URL of the format, no cache may keep that."""
        serve(ImageView.as_view(negotiate=True, mode="redirect"))
        url = get_image("serving:wide", source=name).demand_url()
        response = client.get(url, headers={"Accept": CHROME})
        assert (response.status_code, response["Cache-Control"]) == (302, "no-store")
        assert response["Location"].endswith(f".{BEST.lower()}")

    def test_a_cache_behind_nginx_keeps_no_format(
        self, name: str, serve: Any, client: Client
    ) -> None:
        """What is sent for X-Accel-Redirect has no Vary any more."""
        serve(ImageView.as_view(negotiate=True, mode="accel"))
        url = get_image("serving:wide", source=name).demand_url()
        assert client.get(url)["Cache-Control"] == "private, max-age=60"


class TestFailures:
    """What is sent if there is no image."""

    def test_a_wrong_signature_looks_nothing_up(
        self, settings: Any, stored_photo: Any, client: Client, cache_calls: Counter[str]
    ) -> None:
        """Neither in the state nor in a storage; no permission is asked."""
        path = f"{CountingStorage.__module__}.{CountingStorage.__qualname__}"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": path}}
        settings.IMAGEKIT_SERVING = {"PERMISSION": "no.such.function"}
        url = get_image(SPEC, source=stored_photo()).demand_url()
        storage: Any = storages["default"]
        storage.calls.clear()
        cache_calls.clear()
        assert client.get(url.replace("/images/", "/images/0")).status_code == 403
        assert (cache_calls, storage.calls) == ({}, {})

    def test_an_expired_url_is_gone(self, small: Any, client: Client) -> None:
        """Before anything is looked up."""
        assert client.get(small().demand_url(expires=-1)).status_code == 410
        assert client.get(small().demand_url(expires=60)).status_code == 200

    def test_an_unknown_spec_is_not_found(self, small: Any, client: Client) -> None:
        """Its URL was good once."""
        url = small().demand_url()
        unregister.generator(SPEC)
        response = client.get(url)
        assert (response.status_code, response["Cache-Control"]) == (404, SHORTLY)

    def test_arguments_that_the_spec_does_not_take_any_more_are_not_found(
        self, name: str, client: Client
    ) -> None:
        """A deploy has changed it."""
        url = get_image("serving:wide", source=name, width=30).demand_url()
        generator_registry._generators["serving:wide"] = Small
        assert client.get(url).status_code == 404

    def test_a_source_that_has_gone_is_not_found(
        self, name: str, small: Any, client: Client
    ) -> None:
        """Nor is it looked for again at once."""
        url = small().demand_url()
        storages["default"].delete(name)
        for _ in range(2):
            response = client.get(url)
            assert (response.status_code, response["Cache-Control"]) == (404, SHORTLY)

    def test_an_image_that_cannot_be_made_is_not_found_and_its_fallback_is_sent(
        self, client: Client
    ) -> None:
        """Until it is tried again."""
        storages["default"].save("broken.jpg", ContentFile(b"no image"))
        url = get_image(SPEC, source="broken.jpg").demand_url()
        for _ in range(2):
            response = client.get(url)
            assert (response.status_code, response["Content-Type"]) == (404, "image/svg+xml")
            assert response.content.startswith(b"<svg ")
            assert response["Cache-Control"] == SHORTLY

    @pytest.mark.parametrize(
        ("fallback", "status"), [("empty", 404), ("raise", 404), ("source", 302)]
    )
    def test_every_kind_of_fallback_is_sent(
        self, fallback: str, status: int, settings: Any, client: Client
    ) -> None:
        """A source is not sent by us: it may be anything."""
        settings.IMAGEKIT_ON_ERROR = fallback
        storages["default"].save("broken.jpg", ContentFile(b"no image"))
        response = client.get(get_image(SPEC, source="broken.jpg").demand_url())
        assert response.status_code == status
        if status == 302:
            assert response["Location"] == "/media/broken.jpg"
        assert b"broken.jpg" not in response.content

    def test_developers_are_told_what_is_wrong_with_an_image(
        self, settings: Any, client: Client
    ) -> None:
        """Nobody else is."""
        settings.DEBUG = True
        storages["default"].save("broken.jpg", ContentFile(b"no image"))
        response = client.get(get_image(SPEC, source="broken.jpg").demand_url())
        assert response.status_code == 404
        assert b"serving:small of 'broken.jpg': " in response.content

    def test_an_image_beyond_the_limits_is_refused(self, name: str, client: Client) -> None:
        """No limit is a matter of luck: it is until it is tried again."""
        limited = type("Limited", (Small,), {"limits": Limits(max_pixels=1000)})
        register.generator("tests:limited", limited)
        url = get_image("tests:limited", source=name).demand_url()
        assert [client.get(url).status_code for _ in range(3)] == [422] * 3

    def test_a_storage_that_fails_is_asked_again_later(
        self, small: Any, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It says nothing about the image."""
        small().generate()
        url = small().demand_url()

        def fail(*args: Any) -> Any:
            raise ConnectionError("no storage")

        monkeypatch.setattr("django.core.files.storage.FileSystemStorage.open", fail)
        response = client.get(url)
        assert (response.status_code, response["Retry-After"]) == (503, "1")
        assert response["Cache-Control"] == "no-store"

    def test_who_finds_too_many_makers_is_asked_to_come_back(
        self, settings: Any, small: Any, client: Client
    ) -> None:
        """Where the source stands in for images, it is shown meanwhile."""
        settings.IMAGEKIT_SERVING = {"CONCURRENCY": 1, "WAITING": 0}
        url = small().demand_url()
        with _turn("another"):
            response = client.get(url)
            settings.IMAGEKIT_ON_ERROR = "source"
            instead = client.get(url)
        assert (response.status_code, response["Retry-After"]) == (503, "1")
        assert (instead.status_code, instead["Location"]) == (302, "/media/photos/rocket.jpg")
        assert instead["Cache-Control"] == "no-store"
        assert client.get(url).status_code == 200

    def test_who_waits_for_too_long_is_asked_to_come_back(
        self, settings: Any, small: Any, client: Client
    ) -> None:
        """As long as one waits for a lock."""
        settings.IMAGEKIT_SERVING = {"CONCURRENCY": 1}
        settings.IMAGEKIT_LOCK_WAIT = 0.01
        with _turn("another"):
            assert client.get(small().demand_url()).status_code == 503

    def test_requests_by_other_methods_are_not_allowed(self, small: Any, client: Client) -> None:
        """Nobody puts images here."""
        assert client.post(small().demand_url()).status_code == 405


class TestManyClients:
    """Who asks at the same moment."""

    def test_one_cold_url_is_encoded_once_for_fifty_clients(
        self, small: Any, settings: Any
    ) -> None:
        """All of them get the image."""
        settings.IMAGEKIT_SERVING = {"CONCURRENCY": 2, "WAITING": 0}
        made: list[str] = []
        signals.generated.connect(note := lambda file, **kwargs: made.append(file.name))
        url, barrier = small().demand_url(), threading.Barrier(50)
        answers: list[tuple[int, bytes]] = []

        def ask() -> None:
            barrier.wait()
            response = Client().get(url)
            answers.append((response.status_code, response.content))
            connections.close_all()

        threads = [threading.Thread(target=ask) for _ in range(50)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            signals.generated.disconnect(note)
        assert made == [small().name]
        assert len(answers) == 50
        assert {status for status, _ in answers} == {200}
        assert len({content for _, content in answers}) == 1


class TestAsync:
    """The same under ASGI."""

    @pytest.mark.parametrize("spec", [Small, Large])
    def test_an_async_view_sends_the_same(
        self, spec: Any, name: str, serve: Any, client: Client
    ) -> None:
        """In pieces too; and without a warning that it is read at once."""
        register.generator("tests:async", spec)
        url = get_image("tests:async", source=name).demand_url()
        whole = body(client.get(url))
        serve(AsyncImageView.as_view())

        async def ask() -> tuple[int, bytes, int]:
            response: Any = await AsyncClient().get(url)
            if response.streaming:
                content = b"".join([chunk async for chunk in response.streaming_content])
            else:
                content = response.content
            response.close()
            wrong = await AsyncClient().get(url + "x")
            return response.status_code, content, wrong.status_code

        assert asyncio.run(ask()) == (200, whole, 403)


class TestHeaders:
    """What clients send may be anything."""

    @pytest.mark.parametrize("size", [0, 1, 10])
    @pytest.mark.parametrize(
        "header", ["bytes=0-0", "bytes=-0", "bytes=-20", "bytes=9-", "BYTES = 1 - 3"]
    )
    def test_a_range_lies_within_the_content(self, header: str, size: int) -> None:
        """Whatever is asked for."""
        found = parse_range(header, size)
        assert found is not None
        assert all(0 <= position < size for position in found)


def test_a_redirect_leads_to_what_the_url_provider_gives(
    small: Any, client: Client, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CDN, say."""
    monkeypatch.setattr(Small, "url_provider", Prefix("https://cdn.example.com"))
    serve(ImageView.as_view(mode="redirect"))
    response = client.get(small().url)
    assert response["Location"] == f"https://cdn.example.com/{small().name}"
    assert small().url == response["Location"]
