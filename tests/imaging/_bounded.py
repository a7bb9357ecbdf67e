"""A process with a prepared Django that forks for each picture, and measures what it costs.

    python -m tests.imaging._bounded FOLDER

keeps cache files in FOLDER, reads a JSON line for each run, and writes one:

- asked: ``path`` of the source, ``decoder``, ``tag`` (what stands in the template after the
  picture's variable, and before it as ``{}``), ``settings``;
- answered: ``html`` of the page, ``logged`` (level and text), ``form`` (what the upload form says),
  ``made`` (format and size of the cache file), ``programs`` that were started, ``signal`` that
  killed it, ``cpu`` in seconds and ``memory`` in bytes.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

#: What kills a run, in seconds of processor time: what the whole of a page may take.
CPU_SECONDS = 10
#: What kills a run before it takes the machine down, in bytes of address space.
ADDRESS_SPACE = 6 * 1024**3


def set_up(folder: Path) -> None:
    """Prepare Django, and have everything imported that a run needs, except for libvips."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.conf import settings

    settings.DEBUG = False
    settings.MEDIA_ROOT = folder
    settings.DATABASES = {"default": settings.DATABASES["default"]}
    django.setup()
    from django.template import engines
    from PIL import Image

    import imagekit_registry.forms  # noqa: F401
    from imagekit_registry.imaging import get_decoder

    engines.all()
    Image.init()
    get_decoder("pillow")


class _Memory(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append([record.levelname, record.getMessage()])


def page(request: dict[str, Any]) -> dict[str, Any]:
    """Render a page that shows the picture."""
    from django.core.files.storage import default_storage
    from django.template import engines
    from PIL import Image

    memory = _Memory()
    logging.getLogger("imagekit_registry").addHandler(memory)
    name = Path(request["path"]).name
    source = "{% load imagekit %}<p>{% " + request["tag"].format("photo") + " %}</p>"
    html = engines["django"].from_string(source).render({"photo": name, **request["context"]})
    made = None
    if 'src="/media/' in html:
        url = html.partition('src="/media/')[2].partition('"')[0]
        with default_storage.open(url) as file, Image.open(file) as image:
            image.load()
            made = [image.format, *image.size]
    return {"html": html, "logged": memory.lines, "made": made}


def form(request: dict[str, Any]) -> dict[str, Any]:
    """Give the picture to the upload form of a visitor."""
    from django import forms
    from django.core.files.uploadedfile import TemporaryUploadedFile

    from imagekit_registry.forms import ProcessedImageField
    from imagekit_registry.processors import ResizeToFit

    path = Path(request["path"])
    field = ProcessedImageField([ResizeToFit(300, 200)], format="PNG", spec_id="bounded:form")
    upload_form = type("UploadForm", (forms.Form,), {"picture": field})
    upload = TemporaryUploadedFile(path.name, "image/png", path.stat().st_size, None)
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            upload.write(block)
    upload.seek(0)
    filled = upload_form({}, {"picture": upload})
    return {"form": [str(text) for text in filled.errors.get("picture", [])]}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked for, within the limits."""
    from django.conf import settings

    programs: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}:
            programs.append(f"{event} {arguments!r}")

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for name, value in {"IMAGEKIT_ON_ERROR": "placeholder", **request["settings"]}.items():
        setattr(settings, name, value)
    sys.addaudithook(watch)
    answer = {"page": page, "form": form}[request["kind"]](request)
    return {**answer, "programs": programs}


def fork(request: dict[str, Any]) -> dict[str, Any]:
    """Run *request* in a child; return its answer, and what it cost."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            # What anybody prints is none of the protocol.
            sys.stdout = sys.stderr
            answer = json.dumps(run(request))
        except BaseException:
            answer = json.dumps({"crash": traceback.format_exc()})
        with os.fdopen(writing, "w") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(child, 0)
    answered: dict[str, Any] = json.loads(text) if text else {}
    return {
        **answered,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
    }


def main() -> None:
    """Answer requests until there are no more."""
    set_up(Path(sys.argv[1]))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
