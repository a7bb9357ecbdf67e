"""What each contender does: a cold image, a warm page, several widths, many sources."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, models
from django.template import Context, Template
from PIL import Image, ImageOps

from benchmarks._counting import COUNTS
from benchmarks._sources import DATA, KINDS

__all__ = ["make_contender"]

SIZE = (300, 200)
WIDTHS = (1200, 800, 400, 200)
FAN = (1600, 1200, 800, 400, 200)
PHOTOS = 100
SMALL = (100, 75)


def quality_of(name: str) -> int:
    return 80 if name.endswith(".webp") else 85


@contextmanager
def timed(answer: dict[str, Any]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        answer["ms"] = (time.perf_counter() - wall) * 1000
        answer["cpu"] = (time.process_time() - cpu) * 1000


def resident(key: str) -> float:
    """Return a line of this process's memory status, in MiB."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{key}:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


class Contender:
    """The parts that are the same for all."""

    #: Template source by the name of what is measured; rendered with 100 photographs.
    pages: dict[str, str] = {}

    def __init__(self, media: Path) -> None:
        self.media = media
        self.photo = self.define_models()
        self.templates = {name: Template(text) for name, text in self.pages.items()}
        self.is_filled = False

    def define_models(self) -> Any:
        """Return the model of the warm page, whose table has been made."""
        fields = {
            "image": models.ImageField(
                upload_to="photos", width_field="width", height_field="height"
            ),
            "width": models.IntegerField(),
            "height": models.IntegerField(),
        }
        return make_model("Photo", {**fields, **self.photo_extras()})

    def photo_extras(self) -> dict[str, Any]:
        return {}

    def link(self, kind: str, new: str) -> str:
        """Give a source a name that nobody has seen; its bytes are the same file for everybody."""
        source = KINDS[kind][0]
        name = f"photos/{new}{os.path.splitext(source)[1]}"
        (self.media / name).symlink_to(DATA / "sources" / source)
        return name

    def made(self) -> int:
        """Return the number of files that there are, but the links to sources."""
        found = (Path(folder, each) for folder, _, files in os.walk(self.media) for each in files)
        return sum(not path.is_symlink() for path in found)

    # What is measured.

    def cold(self, kind: str, number: int) -> dict[str, Any]:
        """Make one thumbnail of a source that was never seen."""
        name = self.link(kind, f"{kind}-{number}")
        cache.clear()
        make = self.prepare(name)
        answer: dict[str, Any] = {}
        with timed(answer):
            made = make()
        return {**answer, "path": str(self.media / made)}

    def memory(self, kind: str) -> dict[str, Any]:
        """Return what one cold thumbnail adds to the peak of this process, after a tiny one."""
        self.cold("tiny", 0)
        make = self.prepare(self.link(kind, "memory"))
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = resident("VmRSS")
        make()
        return {"mib": max(0.0, resident("VmHWM") - before)}

    def fan(self, number: int) -> dict[str, Any]:
        """Make five widths of one 12 MP JPEG."""
        name = self.link("jpeg12", f"fan-{number}")
        cache.clear()
        answer: dict[str, Any] = {}
        make = self.prepare_many([name], FAN)
        before = self.made()
        with timed(answer):
            make()
        assert self.made() - before == len(FAN)
        return answer

    def bulk(self, number: int, count: int, jobs: int = 1) -> dict[str, Any]:
        """Make four widths of each of many 2 MP JPEG."""
        names = [self.link("jpeg2", f"bulk-{number}-{jobs}-{each}") for each in range(count)]
        cache.clear()
        answer: dict[str, Any] = {}
        make = self.prepare_bulk(names, jobs)
        files = self.made()
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        with timed(answer):
            make()
        answer["mib"] = max(0.0, resident("VmHWM") - before)
        assert self.made() - files == len(names) * len(WIDTHS)
        return answer

    def warm(self, page: str) -> dict[str, Any]:
        """Render a page whose images exist, and which this process has rendered before."""
        if not self.is_filled:
            for each in range(PHOTOS):
                name = self.link("tiny", f"warm-{each}")
                values = {"image": name, "width": 400, "height": 300}
                self.photo.objects.bulk_create([self.photo(**values)])
            self.is_filled = True
        render = self.renderer(page)
        html = render(list(self.photo.objects.all()))
        assert html.count("<img") == PHOTOS, html[:500]
        render(list(self.photo.objects.all()))
        photos = list(self.photo.objects.all())
        statements: list[str] = []

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            statements.append(sql)
            return execute(sql, params, many, context)

        answer: dict[str, Any] = {}
        COUNTS.clear()
        with connection.execute_wrapper(count), timed(answer):
            render(photos)
        names = ("cache", "storage", "opens")
        counts = {name: COUNTS[name] for name in names}
        return {**answer, **counts, "sql": len(statements)}

    def renderer(self, page: str) -> Callable[[list[Any]], str]:
        template = self.templates[page]
        return lambda photos: template.render(Context({"photos": photos}))

    # What differs.

    def prepare(self, name: str) -> Callable[[], str]:
        """Return what makes a thumbnail of *name* and gives its name."""
        raise NotImplementedError

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        """Return what makes several widths of each of *names*."""
        raise NotImplementedError

    def prepare_bulk(self, names: list[str], jobs: int) -> Callable[[], None]:
        return self.prepare_many(names, WIDTHS)


def make_model(name: str, fields: dict[str, Any]) -> Any:
    meta = type("Meta", (), {"app_label": "bench"})
    model = type(name, (models.Model,), {**fields, "Meta": meta, "__module__": __name__})
    with connection.schema_editor() as editor:
        editor.create_model(model)
    return model


def in_loop(inner: str) -> str:
    return "{% for p in photos %}" + inner + "{% endfor %}"


def img(image: str) -> str:
    sides = " ".join(f'{side}="{{{{ {image}.{side} }}}}"' for side in ("width", "height"))
    return f'<img src="{{{{ {image}.url }}}}" {sides}>'


class ImageKit(Contender):
    """django-imagekit; ours has the same interface, by design."""

    package = "imagekit"
    pages = {
        "generateimage": "{% load imagekit %}"
        + in_loop("{% generateimage 'bench:small' source=p.image %}"),
        "thumbnail": "{% load imagekit %}" + in_loop("{% thumbnail '100x75' p.image %}"),
        "spec field": in_loop(img("p.thumbnail")),
        "AdminThumbnail": "",
    }

    def __init__(self, media: Path) -> None:
        base = import_module(self.package)
        processors = import_module(f"{self.package}.processors")
        self.spec = base.ImageSpec
        self.fill, self.fit = processors.ResizeToFill, processors.ResizeToFit
        self.field = import_module(f"{self.package}.models").ImageSpecField
        self.cache_file = import_module(f"{self.package}.cachefiles").ImageCacheFile
        self.register = base.register.generator
        self.register("bench:small", self.make_spec([self.fill(*SMALL)], "JPEG", 85))
        # django-imagekit makes nothing on demand for a spec that is not registered.
        self.cold_specs = {
            each: self.make_spec([self.fill(*SIZE)], None, each) for each in (80, 85)
        }
        self.wide_specs = {each: self.make_spec([self.fit(each)], "JPEG", 85) for each in FAN}
        for quality, spec in self.cold_specs.items():
            self.register(f"bench:cold{quality}", spec)
        for width, spec in self.wide_specs.items():
            self.register(f"bench:wide{width}", spec)
        super().__init__(media)
        self.rows = self.define_rows()
        self.admin = import_module(f"{self.package}.admin").AdminThumbnail("thumbnail")

    def make_spec(self, processors: list[Any], format: str | None, quality: int) -> Any:
        values = {"processors": processors, "format": format, "options": {"quality": quality}}
        return type("Spec", (self.spec,), {**values, "__module__": __name__})

    def photo_extras(self) -> dict[str, Any]:
        field = self.field([self.fill(*SMALL)], source="image", format="JPEG")
        field.options = {"quality": 85}
        return {"thumbnail": field}

    def define_rows(self) -> Any:
        fields = {
            f"w{width}": self.field(
                [self.fit(width)], source="image", format="JPEG", options={"quality": 85}
            )
            for width in WIDTHS
        }
        return make_model("Row", {"image": models.ImageField(upload_to="photos"), **fields})

    def renderer(self, page: str) -> Callable[[list[Any]], str]:
        if page == "AdminThumbnail":
            return lambda photos: "".join(self.admin(photo) for photo in photos)
        return super().renderer(page)

    def source(self, name: str) -> Any:
        return self.rows(image=name).image

    def prepare(self, name: str) -> Callable[[], str]:
        spec = self.cold_specs[quality_of(name)](self.source(name))

        def make() -> str:
            file = self.cache_file(spec)
            assert file.url
            return str(file.name)

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        specs = [self.wide_specs[width] for width in widths]
        files = [self.cache_file(spec(self.source(name))) for name in names for spec in specs]
        return lambda: self.make_files(files)

    def make_files(self, files: list[Any]) -> None:
        for file in files:
            assert file.url

    def prepare_bulk(self, names: list[str], jobs: int) -> Callable[[], None]:
        self.rows.objects.all().delete()
        self.rows.objects.bulk_create([self.rows(image=name) for name in names])
        options = self.bulk_options(jobs)

        def make() -> None:
            with Path(os.devnull).open("w") as out:
                call_command("generateimages", "bench:row", stdout=out, **options)

        return make

    def bulk_options(self, jobs: int) -> dict[str, Any]:
        return {}


class Ours(ImageKit):
    """This library."""

    package = "imagekit_registry"

    def make_files(self, files: list[Any]) -> None:
        generate_many = import_module("imagekit_registry.cachefiles").generate_many
        assert not generate_many(files).failures

    def bulk_options(self, jobs: int) -> dict[str, Any]:
        return {"jobs": jobs}


class Sorl(Contender):
    """sorl-thumbnail with its default engine, which is Pillow's."""

    pages = {
        "tag": "{% load thumbnail %}"
        + in_loop(
            '{% thumbnail p.image "100x75" crop="center" format="JPEG" as t %}'
            + img("t")
            + "{% endthumbnail %}"
        )
    }

    def prepare(self, name: str) -> Callable[[], str]:
        from sorl.thumbnail import get_thumbnail

        def make() -> str:
            made = get_thumbnail(name, "300x200", crop="center", quality=quality_of(name))
            assert made.url
            return str(made.name)

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        from sorl.thumbnail import get_thumbnail

        def make() -> None:
            for name in names:
                for width in widths:
                    assert get_thumbnail(name, str(width)).url

        return make


class Easy(Contender):
    """easy-thumbnails."""

    pages = {
        "tag": "{% load thumbnail %}"
        + in_loop("{% thumbnail p.image 100x75 crop as t %}" + img("t"))
    }

    def prepare(self, name: str) -> Callable[[], str]:
        from easy_thumbnails.files import get_thumbnailer

        options = {"size": SIZE, "crop": True, "quality": quality_of(name)}

        def make() -> str:
            made = get_thumbnailer(default_storage, name).get_thumbnail(options)
            assert made.url
            return str(made.name)

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        from easy_thumbnails.files import get_thumbnailer

        def make() -> None:
            for name in names:
                for width in widths:
                    options = {"size": (width, 0)}
                    assert get_thumbnailer(default_storage, name).get_thumbnail(options).url

        return make


class Versatile(Contender):
    """django-versatileimagefield."""

    pages = {"field": in_loop('<img src="{{ p.image.crop.100x75.url }}">')}

    def define_models(self) -> Any:
        from versatileimagefield.fields import VersatileImageField

        sides = {side: models.IntegerField() for side in ("width", "height")}
        return make_model("Photo", {"image": VersatileImageField(upload_to="photos"), **sides})

    def prepare(self, name: str) -> Callable[[], str]:
        photo = self.photo(image=name)

        def make() -> str:
            made = photo.image.crop["300x200"]
            assert made.url
            return str(made.name)

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        photos = [self.photo(image=name) for name in names]

        def make() -> None:
            for photo in photos:
                for width in widths:
                    assert photo.image.thumbnail[f"{width}x{width}"].url

        return make


class Pictures(Contender):
    """django-pictures: it makes all pictures of a source together; given widths, no more."""

    def pictures(self, name: str, ratio: str | None, widths: tuple[int, ...]) -> Callable[[], Any]:
        from pictures.models import PillowPicture
        from pictures.tasks import _process_picture

        format = {".png": "PNG", ".webp": "WEBP"}.get(os.path.splitext(name)[1], "JPEG")
        wanted = [PillowPicture(name, format, ratio, default_storage, each) for each in widths]

        def make() -> Any:
            _process_picture(
                storage=default_storage.deconstruct(),
                file_name=name,
                sender=None,
                new=[each.deconstruct() for each in wanted],
            )
            return wanted[0].name

        return make

    def prepare(self, name: str) -> Callable[[], str]:
        return self.pictures(name, "3/2", (SIZE[0],))

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        makers = [self.pictures(name, None, widths) for name in names]

        def make() -> None:
            for each in makers:
                each()

        return make


class PillowScript(Contender):
    """The shortest script with Pillow: decode small where the format can, scale, encode, store."""

    pages = {
        "floor": in_loop('<img src="{{ p.image.url }}">'),
        "floor with sizes": in_loop(
            '<img src="{{ p.image.url }}" width="{{ p.width }}" height="{{ p.height }}">'
        ),
    }

    def store(self, image: Image.Image, source: str, suffix: str, format: str | None) -> str:
        stem, extension = os.path.splitext(source)
        content = ContentFile(b"")
        image.save(content, format, quality=quality_of(source))
        return default_storage.save(f"made/{stem}-{suffix}{extension}", content)

    def prepare(self, name: str) -> Callable[[], str]:
        def make() -> str:
            with default_storage.open(name) as file, Image.open(file) as opened:
                format = opened.format
                # As Image.thumbnail() does: twice the size in each direction is decoded.
                opened.draft(None, (2 * SIZE[0], 2 * SIZE[1]))
                width, height = opened.size
                scale = min(width / SIZE[0], height / SIZE[1])
                left = (width - SIZE[0] * scale) / 2
                top = (height - SIZE[1] * scale) / 2
                box = (left, top, width - left, height - top)
                image = opened.resize(SIZE, Image.Resampling.LANCZOS, box, reducing_gap=2.0)
            made = self.store(image, name, "cold", format)
            assert default_storage.url(made)
            return made

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        def make() -> None:
            for name in names:
                with default_storage.open(name) as file, Image.open(file) as opened:
                    full = opened.size
                    opened.draft(None, (2 * widths[0], 2 * widths[0] * full[1] // full[0]))
                    image = opened.copy()
                for width in widths:
                    size = (width, round(width * full[1] / full[0]))
                    made = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
                    image = self.next_source(image, made)
                    assert default_storage.url(self.store(made, name, str(width), "JPEG"))

        return make

    def next_source(self, image: Image.Image, made: Image.Image) -> Image.Image:
        """Return what the next smaller width is made of: all that was decoded."""
        return image


class PillowChain(PillowScript):
    """The same, of several widths each made of the next larger: faster, and not as sharp."""

    def next_source(self, image: Image.Image, made: Image.Image) -> Image.Image:
        """Return what the next smaller width is made of: this one."""
        return made


class VipsScript(Contender):
    """The shortest script with pyvips."""

    def store(self, image: Any, source: str, suffix: str) -> str:
        stem, extension = os.path.splitext(source)
        options = {} if extension == ".png" else {"Q": quality_of(source)}
        content = ContentFile(image.write_to_buffer(extension, **options))
        return default_storage.save(f"made/{stem}-{suffix}{extension}", content)

    def prepare(self, name: str) -> Callable[[], str]:
        import pyvips

        def make() -> str:
            with default_storage.open(name) as file:
                image = pyvips.Image.thumbnail_buffer(
                    file.read(), SIZE[0], height=SIZE[1], crop="centre"
                )
            made = self.store(image, name, "cold")
            assert default_storage.url(made)
            return made

        return make

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        import pyvips

        def make() -> None:
            for name in names:
                with default_storage.open(name) as file:
                    data = file.read()
                for width in widths:
                    image = pyvips.Image.thumbnail_buffer(data, width)
                    assert default_storage.url(self.store(image, name, str(width)))

        return make


class VipsChain(VipsScript):
    """The same, of several widths each made of the next larger: faster, and not as sharp."""

    def prepare_many(self, names: list[str], widths: tuple[int, ...]) -> Callable[[], None]:
        import pyvips

        def make() -> None:
            for name in names:
                with default_storage.open(name) as file:
                    data = file.read()
                image = pyvips.Image.thumbnail_buffer(data, widths[0]).copy_memory()
                for width in widths:
                    image = image.thumbnail_image(width).copy_memory()
                    assert default_storage.url(self.store(image, name, str(width)))

        return make


CONTENDERS: dict[str, type[Contender]] = {
    "ours": Ours,
    "ours-simd": Ours,
    "ours-vips": Ours,
    "ours-own-urls": Ours,
    "imagekit": ImageKit,
    "sorl": Sorl,
    "easy": Easy,
    "versatile": Versatile,
    "pictures": Pictures,
    "pillow": PillowScript,
    "pillow-next": PillowChain,
    "vips": VipsScript,
    "vips-next": VipsChain,
}


def make_contender(name: str, media: Path) -> Contender:
    """Return a contender by its name."""
    return CONTENDERS[name](media)
