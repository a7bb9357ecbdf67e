"""What is printed on the page about deploying runs as it is printed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.conftest import PHOTOS, require, require_service
from tests.docs._markdown import ROOT, Block, blocks_of
from tests.serving.test_servers import NGINX, free_port, running

pytestmark = pytest.mark.machine

PAGE = ROOT / "docs" / "how-to" / "deploy.md"
#: What the page takes for granted of a project.
BEFORE = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for the test"
INSTALLED_APPS = ["django.contrib.contenttypes", "imagekit_registry", "photos"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DATABASES["default"]["OPTIONS"] = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT, MEDIA_URL = BASE_DIR / "media", "/media/"
# Redis is shared with other tests.
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": os.environ["TAG"]}
"""
UPLOAD = """
import django; django.setup()
from django.core.files import File
from photos.models import Photo
with open(%r, "rb") as file:
    photo = Photo(title="A rocket")
    photo.image.save("rocket.jpg", File(file))
print(photo.thumbnail.path, photo.banner.path)
"""


def printed(path: str) -> list[Block]:
    """Return the blocks of the page that are the file at *path*, or a part of it."""
    return [block for block in blocks_of(PAGE) if block.path == path]


def command(start: str) -> list[str]:
    """Return the arguments of the command on the page that begins with *start*."""
    lines = PAGE.read_text().splitlines()
    (line,) = [line[2:] for line in lines if line.startswith(f"$ {start}")]
    return shlex.split(line)


@contextmanager
def started(arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a process while the context lasts; its output goes into a file."""
    with (
        (folder / "worker.log").open("w") as log,
        subprocess.Popen(
            arguments, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def test_a_worker_makes_the_images_of_the_printed_project(tmp_path: Path) -> None:
    """An upload, the printed worker, and a command that waits for it: both images are there."""
    pytest.importorskip("celery")
    require_service("Redis", "redis" in django_settings.CACHES)
    files = {"mysite/settings.py": BEFORE, "photos/__init__.py": ""}
    for path in ("mysite/settings.py", "mysite/celery.py", "mysite/__init__.py"):
        assert printed(path)
        files[path] = files.get(path, "") + "".join(block.code + "\n" for block in printed(path))
    models = ROOT / "tests" / "docs" / "project" / "standard_models.py"
    files["photos/models.py"] = models.read_text()
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    environment = {
        **os.environ,
        "TAG": f"imagekit-tests-{uuid.uuid4().hex}",
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "CELERY_BROKER_URL": "redis://127.0.0.1:6379/9",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "PYTHONWARNINGS": "ignore",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        log = tmp_path / "worker.log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
        return done.stdout

    manage = ("-m", "django")
    run(*manage, "migrate", "--run-syncdb", "--verbosity", "0")
    paths = run("-c", UPLOAD % str(PHOTOS / "rocket.jpg")).split()
    assert not any(map(os.path.exists, paths))
    worker = [sys.executable, "-m", *command("celery -A mysite worker")]
    with started(worker, tmp_path, environment):
        report = run(*manage, "generateimages", "--wait")
    assert all(map(os.path.exists, paths)), report
    assert "0 images made, 2 handed to workers" in report
    assert "JPEG of 200 x 150 pixels" in (tmp_path / "worker.log").read_text()


def get(url: str) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


def test_the_printed_nginx_sends_images_for_good(tmp_path: Path) -> None:
    """Images with their types and a year; uploads without; what is missing is not kept."""
    require(NGINX is not None, "nginx is not on this machine")
    text = PAGE.read_text()
    server = text[text.index("```nginx\n") + 9 :].partition("```")[0]
    port, media = free_port(), tmp_path / "media"
    assert "listen 80;" in server
    server = server.replace("listen 80;", f"listen 127.0.0.1:{port};")
    server = server.replace("/srv/shop/media/", f"{media}/")
    (media / "CACHE").mkdir(parents=True)
    for name in ("CACHE/a.avif", "CACHE/a.webp", "CACHE/a.jpg", "photo.jpg"):
        shutil.copy(PHOTOS / "rocket.jpg", media / name)
    temporary = " ".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        ("user root;" if os.geteuid() == 0 else "")
        + f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
        + f"http {{ access_log off; client_body_temp_path {tmp_path}/body; {temporary} {server} }}"
    )
    arguments = [str(NGINX), "-e", str(tmp_path / "early.log"), "-c", str(configuration)]
    environment: dict[str, Any] = dict(os.environ)
    with running(arguments, port, environment):
        address = f"http://127.0.0.1:{port}/media"
        for format in ("avif", "webp", "jpeg"):
            status, headers = get(f"{address}/CACHE/a.{format.replace('jpeg', 'jpg')}")
            assert (status, headers["Content-Type"]) == (200, f"image/{format}")
            assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        status, headers = get(f"{address}/CACHE/b.jpg")
        assert (status, headers.get("Cache-Control")) == (404, None)
        status, headers = get(f"{address}/photo.jpg")
        assert (status, headers.get("Cache-Control")) == (200, None)
        assert headers["X-Content-Type-Options"] == "nosniff"
