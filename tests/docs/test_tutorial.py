"""The tutorial, typed line by line in an empty folder, gives what it says."""

from __future__ import annotations

import http.cookiejar
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from tests.docs._console import commands_in
from tests.docs._markdown import ROOT, Block, blocks_of

PAGE = ROOT / "docs" / "tutorial" / "index.md"
PASSWORD = "a password for a test"

_FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "----tutorial"
_MULTIPART = (
    '--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\nA rocket\r\n'
    '--{boundary}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\nTOKEN\r\n'
    '--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
    "Content-Type: image/jpeg\r\n\r\nPHOTO\r\n--{boundary}--\r\n"
)


class Newcomer:
    """Somebody who types what the page says, and uses a browser."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SUPERUSER_USERNAME": "me",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SUPERUSER_EMAIL": "me@example.com",
        }
        self.env.pop("DJANGO_SETTINGS_MODULE", None)
        cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        self.address = ""

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.language == "console":
            for command in commands_in(block.code):
                self.type(command)
            return
        assert block.path, f"{block.where} does not say which file it is"
        path = self.folder / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if block.is_addition:
            path.write_text(path.read_text() + "\n" + block.code + "\n")
        else:
            path.write_text(block.code + "\n")

    def type(self, command: str) -> None:
        """Run a command in the project's folder."""
        words = shlex.split(command)
        if words[-1] == "createsuperuser":
            words.append("--noinput")
        if words[0] == "django-admin":
            words[:1] = [sys.executable, "-m", "django"]
        elif words[0] == "python":
            words[0] = sys.executable
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    @contextmanager
    def server(self) -> Iterator[None]:
        """Run the development server on a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "manage.py", "runserver", str(port), "--noreload"]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait(process)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            assert process.poll() is None, "the server has ended"
            try:
                self.get("/")
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server does not answer")

    def get(self, path: str) -> bytes:
        """Return what lies at an address."""
        with self.browser.open(self.address + path) as response:
            body: bytes = response.read()
        return body

    def images(self) -> list[tuple[int, int]]:
        """Return the sizes of the images of the page, which have the sizes that it says."""
        page = self.get("/").decode()
        sizes = []
        for tag in re.findall(r"<img[^>]*>", page):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            with Image.open(io.BytesIO(self.get(attributes["src"]))) as image:
                assert image.size == (int(attributes["width"]), int(attributes["height"])), tag
                sizes.append(image.size)
        return sizes

    def upload(self, photo: Path) -> str:
        """Log in to the admin and add a photograph; return the list that follows."""
        login = urlencode({"username": "me", "password": PASSWORD}).encode()
        self._post("/admin/login/?next=/admin/", login + b"&csrfmiddlewaretoken=TOKEN", _FORM)
        body = _MULTIPART.format(boundary=_BOUNDARY, name=photo.name).encode()
        return self._post(
            "/admin/photos/photo/add/",
            body.replace(b"PHOTO", photo.read_bytes()),
            f"multipart/form-data; boundary={_BOUNDARY}",
        )

    def _post(self, path: str, body: bytes, media_type: str) -> str:
        """Send *body*, in which TOKEN stands for the token of the form at *path*."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).decode())
        assert found
        headers = {"Content-Type": media_type, "Referer": self.address + path}
        body = body.replace(b"TOKEN", found[1].encode())
        request = urllib.request.Request(self.address + path, body, headers)
        with self.browser.open(request) as response:
            return str(response.read().decode())


def test_tutorial_gives_a_page_whose_thumbnails_have_the_right_size(tmp_path: Path) -> None:
    """A newcomer who types every line sees each image that the tutorial promises."""
    person = Newcomer(tmp_path)
    blocks = [block for block in blocks_of(PAGE) if not block.not_run]
    run = next(i for i, block in enumerate(blocks) if "runserver" in block.code)
    for block in blocks[:run]:
        person.follow(block)
    migration = (tmp_path / "photos/migrations/0001_initial.py").read_text()
    assert "image" in migration
    assert "thumbnail" not in migration
    with person.server():
        assert person.images() == []
        listing = person.upload(ROOT / "demo" / "photos" / "rocket.jpg")
        assert 'class="imagekit-thumbnail"' in listing, listing
        assert person.images() == [(240, 160)]
    upload, thumbnail = sorted(
        (tmp_path / "media").rglob("*.jpg"), key=lambda path: len(path.parts)
    )
    assert upload.parent == tmp_path / "media/photos"
    assert tmp_path / "media/CACHE/images/photos" in thumbnail.parents

    for number, block in enumerate(blocks[run + 1 :]):
        person.follow(block)
        if number == 0:
            with person.server():
                assert person.images() == [(160, 160)]
            assert thumbnail.exists()
    with person.server():
        # The photograph is 640 by 427 pixels, and is not enlarged.
        assert person.images() == [(640, 427), (160, 160)]
