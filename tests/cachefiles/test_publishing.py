"""Publishing: whole files, exact names, no litter, on every kind of storage."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import (
    FileSystemStorage,
    InMemoryStorage,
    Storage,
    default_storage,
)

from imagekit_registry.cachefiles.publishing import _temporary_name, is_temporary, publish
from imagekit_registry.exceptions import PublishError

NAME = "CACHE/images/a.jpg"
ROOT = Path(__file__).resolve().parent.parent.parent


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def read(storage: Storage, name: str) -> bytes:
    with storage.open(name) as file:
        content: bytes = file.read()
    return content


def modes(root: Path) -> dict[str, int]:
    return {
        str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")
    }


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write more than *size* bytes into one file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class WatchedContent(io.BytesIO):
    """Calls something after each read."""

    def __init__(self, content: bytes, after_read: Callable[[], Any]) -> None:
        super().__init__(content)
        self.after_read = after_read

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.after_read()
        return data


def fail_with(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


class RecordingStorage(FileSystemStorage):
    """Saves in its own way: straight into place, noting the names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.saved: list[str] = []

    def _save(self, name: str, content: Any) -> str:
        self.saved.append(name)
        return super()._save(name, content)  # type: ignore[misc, no-any-return]


class InPlaceStorage(RecordingStorage):
    imagekit_save_in_place = True


@pytest.fixture(params=["plain", "own way", "allow_overwrite", "default_storage"])
def disk(request: pytest.FixtureRequest, media: Path) -> Storage:
    if request.param == "plain":
        return FileSystemStorage()
    if request.param == "own way":
        return RecordingStorage()
    if request.param == "allow_overwrite":
        return FileSystemStorage(allow_overwrite=True)
    return default_storage


class TestOnFileSystems:
    def test_the_file_has_exactly_the_wanted_name_and_the_whole_content(
        self, disk: Storage, media: Path
    ) -> None:
        """Content read from its beginning, under the wanted name, and nothing beside it."""
        content = io.BytesIO(b"image")
        content.seek(3)
        assert publish(disk, NAME, content) == NAME
        assert files_below(media) == [NAME]
        assert (media / NAME).read_bytes() == b"image"
        assert not content.closed

    def test_nobody_sees_a_part_of_the_file(self, disk: Storage, media: Path) -> None:
        """While it is being written there is no file of the final name."""
        seen: list[tuple[bool, list[bool]]] = []

        def look() -> None:
            names = [is_temporary(name) for name in files_below(media)]
            seen.append((disk.exists(NAME), names))

        publish(disk, NAME, WatchedContent(b"x" * 1_000_000, look))
        assert len(seen) > 2
        assert {exists for exists, _ in seen} == {False}
        assert all(all(names) for _, names in seen)

    def test_replacing_never_leaves_a_moment_without_the_file(
        self, disk: Storage, media: Path
    ) -> None:
        """The old file is whole until the new one is."""
        publish(disk, NAME, io.BytesIO(b"first"))
        seen: set[bytes] = set()
        new = WatchedContent(b"second", lambda: seen.add((media / NAME).read_bytes()))
        assert publish(disk, NAME, new) == NAME
        assert seen == {b"first"}
        assert (media / NAME).read_bytes() == b"second"
        assert files_below(media) == [NAME]

    def test_a_reader_of_the_old_file_reads_it_to_its_end(self, disk: Storage, media: Path) -> None:
        """Replacing puts another file in the place, and writes nothing into the old one."""
        publish(disk, NAME, io.BytesIO(b"first"))
        with (media / NAME).open("rb") as reader:
            publish(disk, NAME, io.BytesIO(b"second"))
            assert reader.read() == b"first"

    def test_a_failing_read_leaves_nothing(self, disk: Storage, media: Path) -> None:
        """Our exception, with its cause, and no file of any name."""
        error = RuntimeError("the encoder's buffer is gone")
        with pytest.raises(PublishError, match="buffer is gone") as caught:
            publish(disk, NAME, WatchedContent(b"x", fail_with(error)))
        assert caught.value.__cause__ is error
        assert files_below(media) == []

    def test_an_interrupt_leaves_nothing_and_passes(self, disk: Storage, media: Path) -> None:
        """Ctrl-C is not swallowed, and not an excuse for litter."""
        with pytest.raises(KeyboardInterrupt):
            publish(disk, NAME, WatchedContent(b"x", fail_with(KeyboardInterrupt())))
        assert files_below(media) == []

    def test_a_disk_that_is_full_in_the_middle_keeps_the_old_file(
        self, disk: Storage, media: Path
    ) -> None:
        """The system stops the write half-way: the old file stays, the half goes."""
        publish(disk, NAME, io.BytesIO(b"old"))
        with (
            largest_file(100_000),
            pytest.raises(PublishError, match="Raise the limit") as caught,
        ):
            publish(disk, NAME, io.BytesIO(b"x" * 1_000_000))
        assert isinstance(caught.value.__cause__, OSError)
        assert (media / NAME).read_bytes() == b"old"
        assert files_below(media) == [NAME]

    def test_no_space_is_told_with_what_to_do(self, disk: Storage) -> None:
        """ENOSPC reads as a sentence that names the file, not the temporary one."""
        full = OSError(errno.ENOSPC, "No space left on device", "/media/.imagekit-tmp-1")
        with pytest.raises(PublishError) as caught:
            publish(disk, NAME, WatchedContent(b"x", fail_with(full)))
        assert NAME in str(caught.value)
        assert "imagekit-tmp" not in str(caught.value)
        assert "Make room on the disk." in str(caught.value)

    @pytest.mark.parametrize("length", [200, 255], ids=["200 bytes", "255 bytes"])
    def test_the_longest_name_of_the_file_system_works(
        self, disk: Storage, media: Path, length: int
    ) -> None:
        """The temporary name is short however long the final one is."""
        name = "CACHE/" + "ü" * ((length - 4) // 2) + "x" * ((length - 4) % 2) + ".jpg"
        assert publish(disk, name, io.BytesIO(b"image")) == name
        assert files_below(media) == [name]

    def test_a_name_that_is_too_long_is_our_error(self, disk: Storage, media: Path) -> None:
        """256 bytes are refused with the remedy, and nothing is left."""
        with pytest.raises(PublishError, match="shorter names"):
            publish(disk, "x" * 252 + ".jpg", io.BytesIO(b"image"))
        assert files_below(media) == []

    @pytest.mark.parametrize(
        "name",
        ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "..\\a.jpg", "", "a/", "..", "a\0.jpg"],
        ids=["up", "up inside", "absolute", "backslash", "empty", "folder", "dots", "NUL"],
    )
    def test_a_name_outside_of_the_storage_is_refused(
        self, disk: Storage, media: Path, name: str
    ) -> None:
        """Nothing is written, above all not elsewhere."""
        with pytest.raises(PublishError):
            publish(disk, name, io.BytesIO(b"image"))
        assert files_below(media.parent) == []

    def test_a_folder_in_the_place_of_the_file_is_our_error(
        self, disk: Storage, media: Path
    ) -> None:
        """A folder of the wanted name is left alone."""
        (media / NAME).mkdir(parents=True)
        with pytest.raises(PublishError):
            publish(disk, NAME, io.BytesIO(b"image"))
        assert files_below(media) == []

    def test_a_file_in_the_place_of_the_folder_is_our_error(
        self, disk: Storage, media: Path
    ) -> None:
        """A file where the folder should be is left alone."""
        (media / "CACHE").write_bytes(b"")
        with pytest.raises(PublishError):
            publish(disk, NAME, io.BytesIO(b"image"))
        assert files_below(media) == ["CACHE"]

    def test_a_symlinked_media_folder_works(self, tmp_path: Path) -> None:
        """The temporary file lies on the same disk as the final one, wherever the link leads."""
        (tmp_path / "elsewhere" / "images").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "CACHE").symlink_to(tmp_path / "elsewhere" / "images")
        storage = FileSystemStorage(location=tmp_path / "link")
        assert publish(storage, "CACHE/a.jpg", io.BytesIO(b"image")) == "CACHE/a.jpg"
        assert files_below(tmp_path / "elsewhere" / "images") == ["a.jpg"]

    def test_a_link_that_points_nowhere_gives_way(self, disk: Storage, media: Path) -> None:
        """A dangling link is no file that somebody published."""
        (media / NAME).parent.mkdir(parents=True)
        (media / NAME).symlink_to(media / "gone.jpg")
        publish(disk, NAME, io.BytesIO(b"image"))
        assert (media / NAME).read_bytes() == b"image"
        assert files_below(media) == [NAME]

    def test_a_folder_removed_meanwhile_is_made_again(self, media: Path) -> None:
        """Somebody tidies up the empty folder between its making and the writing: no error."""
        storage = FileSystemStorage()
        removed: list[Path] = []

        class Tidied(FileSystemStorage):
            @property
            def file_permissions_mode(self) -> int | None:
                for path in (media / "CACHE/images").glob("*"):
                    if len(removed) < 2:
                        removed.append(path)
                        path.unlink()
                        path.parent.rmdir()
                return None

        storage = Tidied()
        publish(storage, NAME, io.BytesIO(b"image"))
        assert len(removed) == 2
        assert files_below(media) == [NAME]

    def test_one_file_remains_of_many_that_are_published_at_once(
        self, disk: Storage, media: Path
    ) -> None:
        """Threads that publish the same name all succeed; there is one whole file."""
        contents = [bytes([number]) * 300_000 for number in range(8)]
        errors: list[BaseException] = []
        start = threading.Barrier(8)

        def work(content: bytes) -> None:
            start.wait()
            try:
                publish(disk, NAME, io.BytesIO(content))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=[content]) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert files_below(media) == [NAME]
        assert (media / NAME).read_bytes() in contents

    def test_a_storage_that_must_see_the_final_name_saves_in_place(self, media: Path) -> None:
        """The attribute turns the hidden file off, for storages that keep a list of names."""
        storage = InPlaceStorage()
        assert publish(storage, NAME, io.BytesIO(b"image")) == NAME
        assert storage.saved == [NAME]

    def test_a_storage_that_names_by_content_has_its_way(self, media: Path) -> None:
        """The name that it gives is returned, and the file stays there."""

        class ByContent(FileSystemStorage):
            def get_available_name(self, name: str, max_length: int | None = None) -> str:
                return "blobs/4bf1.jpg"

            def _save(self, name: str, content: Any) -> str:
                return super()._save(name, content)  # type: ignore[misc, no-any-return]

        assert publish(ByContent(), NAME, io.BytesIO(b"image")) == "blobs/4bf1.jpg"
        assert files_below(media) == ["blobs/4bf1.jpg"]

    def test_a_failing_save_of_a_storage_s_own_leaves_nothing(self, media: Path) -> None:
        """What it had begun to write goes."""

        class Broken(FileSystemStorage):
            def _save(self, name: str, content: Any) -> str:
                Path(self.path(name)).write_bytes(b"ha")
                raise ConnectionError("the mount is gone")

        with pytest.raises(PublishError, match="the mount is gone"):
            publish(Broken(), "a.jpg", io.BytesIO(b"image"))
        assert files_below(media) == []


class TestPermissions:
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002], ids=oct)
    @pytest.mark.parametrize("directory", [None, 0o750, 0o2775], ids=["umask", "0o750", "setgid"])
    @pytest.mark.parametrize("file", [None, 0o640, 0o644], ids=["umask", "0o640", "0o644"])
    def test_permissions_are_those_that_the_storage_itself_would_give(
        self, tmp_path: Path, file: int | None, directory: int | None, mask: int
    ) -> None:
        """File and every new folder have the mode that FileSystemStorage.save gives."""
        settings = {"file_permissions_mode": file, "directory_permissions_mode": directory}
        theirs = FileSystemStorage(location=tmp_path / "theirs", **settings)  # type: ignore[arg-type]
        ours = FileSystemStorage(location=tmp_path / "ours", **settings)  # type: ignore[arg-type]
        with umask(mask):
            theirs.save("a/b/c.jpg", ContentFile(b"image"))
            publish(ours, "a/b/c.jpg", io.BytesIO(b"image"))
        assert modes(tmp_path / "ours") == modes(tmp_path / "theirs")

    def test_a_folder_that_is_there_keeps_its_mode(self, media: Path) -> None:
        """Only new folders get the storage's mode."""
        (media / "a").mkdir()
        (media / "a").chmod(0o711)
        publish(FileSystemStorage(directory_permissions_mode=0o755), "a/b.jpg", io.BytesIO(b"x"))
        assert modes(media)["a"] == 0o711

    def test_a_folder_without_the_right_to_write_is_our_error(self) -> None:
        """Read-only: told with the remedy, nothing left; the process may be root or not."""
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            root.chmod(0o555)
            is_root = os.geteuid() == 0
            if is_root:
                os.seteuid(65534)
            try:
                with pytest.raises(PublishError, match="Give the process the right"):
                    publish(FileSystemStorage(location=root), NAME, io.BytesIO(b"image"))
            finally:
                if is_root:
                    os.seteuid(0)
                root.chmod(0o755)
            assert files_below(root) == []


class Remote(Storage):
    """A storage without paths, in memory; its subclasses have one habit each."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.counter = 0

    def exists(self, name: str) -> bool:
        return name in self.content

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return ContentFile(self.content[name], name)

    def _save(self, name: str, content: Any) -> str:
        data = b"".join(content.chunks())
        self.calls.append(("save", name))
        self.content[name] = data
        return name

    def delete(self, name: str) -> None:
        self.calls.append(("delete", name))
        assert len(self.content) > 1 or self.content.keys() != {name}, "a moment without a file"
        self.content.pop(name, None)

    def size(self, name: str) -> int:
        return len(self.content[name])

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        self.counter += 1
        return f"{file_root}_{self.counter}{file_ext}"


class Overwriting(Remote):
    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name


class Normalising(Remote):
    """Keeps lower case only, whatever it is asked."""

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        return super().save((name or "").lower(), content, max_length)

    def exists(self, name: str) -> bool:
        return super().exists(name.lower())

    def delete(self, name: str) -> None:
        self.content.pop(name.lower(), None)


class Breaking(Remote):
    """Fails in the middle of writing in place."""

    def _save(self, name: str, content: Any) -> str:
        self.content[name] = content.read(2)
        raise ConnectionResetError("the other end hung up")


class TestOnOtherStorages:
    @pytest.mark.parametrize("make", [Remote, Overwriting, InMemoryStorage])
    def test_a_new_file_has_the_wanted_name(self, make: Callable[[], Storage]) -> None:
        """Saved once, by the storage's public interface."""
        storage = make()
        assert publish(storage, NAME, io.BytesIO(b"image")) == NAME
        assert read(storage, NAME) == b"image"
        assert storage.listdir("CACHE/images")[1] == ["a.jpg"] if make is InMemoryStorage else True

    def test_somebody_faster_is_kept_where_there_was_nothing_to_replace(self) -> None:
        """Two who could not lock make the same image: the name that the other one knows stays."""

        class Racing(Remote):
            def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
                self.content.setdefault(NAME, b"first")
                return super().save(name, content, max_length)

        storage = Racing()
        assert publish(storage, NAME, io.BytesIO(b"second")) == NAME
        assert storage.content == {NAME: b"first"}

    def test_replacing_returns_the_new_name_where_names_are_never_reused(self) -> None:
        """The new file is complete before the old one goes; one file remains."""
        storage = Remote()
        publish(storage, NAME, io.BytesIO(b"first"))
        got = publish(storage, NAME, io.BytesIO(b"second"))
        assert got != NAME
        assert storage.content == {got: b"second"}
        assert storage.calls[-2:] == [("save", got), ("delete", NAME)]

    def test_replacing_in_django_s_own_memory_storage_leaves_one_file(self) -> None:
        """InMemoryStorage renames on collision too."""
        storage = InMemoryStorage()
        publish(storage, NAME, io.BytesIO(b"first"))
        got = publish(storage, NAME, io.BytesIO(b"second"))
        assert storage.listdir("CACHE/images")[1] == [got.rpartition("/")[2]]
        assert read(storage, got) == b"second"

    def test_replacing_keeps_the_name_where_names_are_overwritten(self) -> None:
        """As S3 does by default."""
        storage = Overwriting()
        publish(storage, NAME, io.BytesIO(b"first"))
        assert publish(storage, NAME, io.BytesIO(b"second")) == NAME
        assert storage.content == {NAME: b"second"}

    def test_another_spelling_of_the_same_file_is_not_deleted_as_litter(self) -> None:
        """A storage that normalises names returns another one, of the only file there is."""
        storage = Normalising()
        got = publish(storage, "CACHE/A.JPG", io.BytesIO(b"image"))
        assert got == "cache/a.jpg"
        assert storage.content == {"cache/a.jpg": b"image"}

    def test_a_storage_that_fails_is_our_error_and_half_a_file_goes(self) -> None:
        """Whatever its save raises; what it had written in place is no image."""
        storage = Breaking()
        storage.content["other.jpg"] = b"other"
        with pytest.raises(PublishError, match="hung up") as caught:
            publish(storage, NAME, io.BytesIO(b"image"))
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert storage.content == {"other.jpg": b"other"}

    def test_the_content_stays_open_even_if_the_storage_closes_what_it_reads(self) -> None:
        """As S3 clients do; who has made the content may still want its size."""

        class Closing(Remote):
            def _save(self, name: str, content: Any) -> str:
                super()._save(name, content)
                content.close()
                return name

        content = io.BytesIO(b"image")
        publish(Closing(), NAME, content)
        assert content.getvalue() == b"image"

    def test_a_failed_replacing_keeps_the_old_file(self) -> None:
        """A storage that refuses to save has not lost what it had."""

        class Refusing(Remote):
            def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
                raise PermissionError("no")

        storage = Refusing()
        storage.content[NAME] = b"first, of another size"
        with pytest.raises(PublishError):
            publish(storage, NAME, io.BytesIO(b"second"))
        assert storage.content == {NAME: b"first, of another size"}

    def test_a_storage_that_does_not_delete_costs_no_image(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The image is there; what could not be tidied up is logged."""

        class Keeping(Remote):
            def delete(self, name: str) -> None:
                raise PermissionError("deleting is not allowed")

        storage = Keeping()
        publish(storage, NAME, io.BytesIO(b"first"))
        with caplog.at_level(logging.WARNING):
            got = publish(storage, NAME, io.BytesIO(b"second"))
        assert storage.content[got] == b"second"
        assert "deleting is not allowed" in caplog.text

    @pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", ""], ids=["up", "absolute", "empty"])
    def test_a_bad_name_never_reaches_the_storage(self, name: str) -> None:
        """Names are checked before anything is sent."""
        storage = Overwriting()
        with pytest.raises(PublishError):
            publish(storage, name, io.BytesIO(b"image"))
        assert storage.calls == []


class TestTemporaries:
    @pytest.mark.parametrize(
        "name",
        ["a.jpg", "ü" * 100 + ".webp", "a", "a." + "x" * 200, ".hidden", "a.tar.gz"],
        ids=["short", "long", "bare", "long extension", "hidden", "two extensions"],
    )
    def test_names_of_temporary_files_are_recognised_and_short(self, name: str) -> None:
        """Any temporary name is ours, hidden, and fits beside any final name."""
        temporary = _temporary_name(name)
        assert is_temporary(temporary)
        assert is_temporary(f"CACHE/images/{temporary}")
        assert temporary.startswith(".")
        assert len(os.fsencode(temporary)) < 64

    @pytest.mark.parametrize(
        "name",
        [
            "a.jpg",
            ".hidden",
            ".imagekit-tmp-",
            ".imagekit-tmp-mine.jpg",
            ".imagekit-tmp-0123456789abcdef/a.jpg",
            "x.imagekit-tmp-0123456789abcdef.jpg",
            ".imagekit-tmp-0123456789abcdef.jpg\n",
        ],
    )
    def test_names_of_other_files_are_not_those_of_temporary_files(self, name: str) -> None:
        """Cleaning must never touch a file that is not ours."""
        assert not is_temporary(name)


@pytest.mark.machine
@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")
class TestKilled:
    @pytest.mark.parametrize("kind", ["plain", "own way"])
    def test_sigkill_at_any_moment_leaves_nothing_or_the_whole_file(
        self, kind: str, media: Path
    ) -> None:
        """30 kills at random moments of a slow write; the rest is hidden files."""
        run = subprocess.run(
            [sys.executable, "-m", "tests.cachefiles._kill_publishing", str(media), kind],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            timeout=60,
            check=True,
        )
        outcomes = json.loads(run.stdout)
        assert len(outcomes) == 30
        assert {outcome["final"] for outcome in outcomes} <= {None, True}
        assert all(outcome["files"] == bool(outcome["final"]) for outcome in outcomes)
        # The test has killed in the middle: otherwise it says nothing.
        assert sum(outcome["killed"] for outcome in outcomes) >= 15
        assert sum(outcome["hidden"] for outcome in outcomes) >= 5
