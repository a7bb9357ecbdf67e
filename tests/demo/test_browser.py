"""The demo in a real Chromium: what a visitor and an editor see.

No test here touches the database of this process: Playwright's loop runs in it, and Django rightly refuses. All
that is stored is stored by the demo's own process.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

import imagekit_registry
from imagekit_registry.admin import FocalPointWidget
from tests.browser import SHIFTS, chromium_started

pytestmark = pytest.mark.browser

_LOADED = """async () => {
    const images = [...document.images];
    for (const image of images) {
        image.scrollIntoView();
        await image.decode().catch(() => {});
    }
    return images.map(image => ({
        url: image.currentSrc || image.src,
        alt: image.alt,
        width: image.naturalWidth,
        height: image.naturalHeight,
        shown: image.getBoundingClientRect().width,
    }));
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a Chromium, closed again before the tests of another module begin."""
    with chromium_started() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """Return a page of a new visitor; whatever the browser complains about fails the test."""
    context = chromium.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: _note(complaints, message))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: _note_failure(complaints, request))
    yield page
    context.close()
    assert complaints == []


def _note(complaints: list[str], message: Any) -> None:
    if message.type in {"error", "warning"}:
        complaints.append(f"{message.text} ({message.location})")


def _note_failure(complaints: list[str], request: Any) -> None:
    # What the browser itself breaks off, since the page is left or closed, is nobody's fault.
    if request.failure != "net::ERR_ABORTED":
        complaints.append(f"failed: {request.url} ({request.failure})")


def _images(page: Page) -> list[dict[str, Any]]:
    """Return what the browser knows of each image of the page, once all of them are loaded."""
    images: list[dict[str, Any]] = page.evaluate(_LOADED)
    assert images
    for image in images:
        assert image["width"] > 0, image
        assert image["shown"] > 0, image
    return images


def _sizes(page: Page, alt: str) -> list[tuple[int, int]]:
    return [(item["width"], item["height"]) for item in _images(page) if item["alt"] == alt]


def _upload(page: Page, photo: Path, title: str, description: str) -> None:
    page.goto("upload/")
    page.get_by_label("Image").set_input_files(photo)
    page.get_by_label("Title").fill(title)
    page.get_by_label("Description").fill(description)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("status").wait_for()


def _log_in(page: Page) -> None:
    page.goto("admin/login/?next=/admin/gallery/photo/")
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Select photo to change").wait_for()


def test_an_upload_is_shown_in_its_right_sizes(page: Page, photos: Path) -> None:
    """A visitor uploads a photograph, and sees it cut to measure on its page and in the gallery."""
    _upload(page, photos / "rocket.jpg", "Evening", "A rocket in the evening")
    assert page.get_by_role("heading", level=1).inner_text() == "Evening"
    assert "640 × 427 pixels" in page.get_by_role("status").inner_text()  # noqa: RUF001
    sizes = _sizes(page, "A rocket in the evening")
    # Fit, fill, smart, the rest of the recipes, two inks.
    assert {(480, 320), (480, 360), (360, 360), (320, 240)} <= set(sizes)
    # The newest photograph has the large place in the gallery; the next upload moves it to a tile.
    _upload(page, photos / "coffee.png", "Morning", "A cup in the morning")
    page.goto("")
    assert _sizes(page, "A rocket in the evening") == [(400, 300)]
    assert _sizes(page, "Evening in dark blue and sand") == [(320, 240)]
    assert page.get_by_text("Evening", exact=True).is_visible()
    # It is shown in the width that `sizes` tells, whatever file the browser has chosen for it.
    ((width, height),) = _sizes(page, "A cup in the morning")
    assert abs(width / height - 7 / 3) < 0.01


def test_an_upload_is_shown_in_the_admin(page: Page, photos: Path) -> None:
    """An editor sees the photograph in the list, and its preview beside the file input."""
    _upload(page, photos / "coffee.png", "Break", "A cup of coffee")
    _log_in(page)
    row = page.get_by_role("row").filter(has_text="Break")
    thumbnail = row.get_by_role("img").first
    thumbnail.scroll_into_view_if_needed()
    assert thumbnail.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])") == [
        96,
        72,
    ]
    _images(page)
    row.get_by_role("link", name="Break").last.click()
    page.get_by_role("heading", name="Change photo").wait_for()
    # 600x400, fitted into 240x160.
    assert _sizes(page, "Preview") == [(240, 160)]


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), (390, "dark")],
    ids=["desktop-light", "phone-dark"],
)
def test_every_page_shows_all_its_images(page: Page, width: int, scheme: str) -> None:
    """On every page each image loads, nothing sticks out to the side, and nothing jumps."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto("")
    links = {link.get_attribute("href") for link in page.locator(".tile a").all()}
    assert len(links) >= 5
    photos = sorted(filter(None, links))
    for path in ["", "sheet/", "upload/", *photos, f"{photos[0]}point/"]:
        page.goto(path)
        _images(page)
        assert page.evaluate(SHIFTS) == [], path
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, path


def test_nothing_jumps_where_no_image_comes(page: Page) -> None:
    """Each has its place before it is there, the pad of a focal point too."""
    page.goto("")
    photo = page.locator(".tile a").last.get_attribute("href")
    page.route("**/media/**", lambda route: None)
    for width in (360, 800, 1400):
        page.set_viewport_size({"width": width, "height": 700})
        for path in ("", "sheet/", f"{photo}", f"{photo}point/"):
            page.goto(path, wait_until="domcontentloaded")
            page.evaluate("document.images[document.images.length - 1].scrollIntoView()")
            assert page.evaluate(SHIFTS) == [], (width, path)


def test_the_pad_unfolds_before_the_page_is_complete(page: Page) -> None:
    """Whatever scripts are yet to come: it would push down what a visitor sees already."""
    page.goto("")
    address = f"{page.locator('.tile a').last.get_attribute('href')}point/"
    held: list[Route] = []

    def answer(route: Route) -> None:
        late = '<script src="/late.js" defer></script></body>'
        route.fulfill(body=route.fetch().text().replace("</body>", late), content_type="text/html")

    page.route(f"**{address}", answer)
    page.route("**/late.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    page.get_by_role("application", name="Focal point").wait_for()
    assert page.evaluate("document.readyState") != "complete"
    held[0].fulfill(body="", content_type="text/javascript")


def test_a_refused_upload_says_why(page: Page, tmp_path: Path) -> None:
    """A text file under an image's name gets Django's own message at the field."""
    notes = tmp_path / "notes.jpg"
    notes.write_text("These are words.")
    page.goto("upload/")
    page.get_by_label("Image").set_input_files(notes)
    page.get_by_label("Title").fill("Notes")
    page.get_by_label("Description").fill("Words")
    page.get_by_role("button", name="Upload").click()
    error = page.locator(".errorlist")
    error.wait_for()
    assert "Upload a valid image" in error.inner_text()


_POINT = """pad => {
    const [image, point] = [pad.querySelector('img'), pad.querySelector('span')]
        .map(each => each.getBoundingClientRect());
    return [point.x + point.width / 2 - image.x, point.y + point.height / 2 - image.y]
        .map((distance, axis) => Math.round(100 * distance / [image.width, image.height][axis]));
}"""


def _open_in_admin(page: Page, title: str) -> Any:
    """Open the form of a photograph; return the pad of its focal point."""
    page.goto("admin/gallery/photo/")
    page.get_by_role("link", name=title).last.click()
    pad = page.get_by_role("application", name="Focal point")
    pad.wait_for()
    return pad


def _numbers(page: Page) -> list[str]:
    labels = ("From the left, in %", "From the top, in %")
    return [page.get_by_label(label).input_value() for label in labels]


def test_an_editor_moves_a_focal_point_by_keyboard_alone(page: Page, photos: Path) -> None:
    """From the tab key to the saved crop: the pad, the numbers and the previews agree."""
    _upload(page, photos / "rocket.jpg", "By keys", "A rocket")
    _log_in(page)
    row = page.get_by_role("row").filter(has_text="By keys")
    former = row.get_by_role("img").first.get_attribute("src")
    pad = _open_in_admin(page, "By keys")
    while not pad.evaluate("pad => pad === document.activeElement"):
        page.keyboard.press("Tab")
    assert pad.evaluate("pad => getComputedStyle(pad).outlineStyle") == "solid"
    for key in ["ArrowRight", "ArrowRight", "Shift+ArrowUp", "ArrowDown", "Shift+ArrowRight"]:
        page.keyboard.press(key)
    assert _numbers(page) == ["62", "41"]
    assert pad.evaluate(_POINT) == [62, 41]
    crops = page.locator(".imagekit-focal-crops img").evaluate_all(
        "all => all.map(each => [each.title, each.style.objectPosition])"
    )
    # Both specs have the same proportions.
    assert crops == [["320 × 240", "62% 41%"]]  # noqa: RUF001
    assert page.locator(".imagekit-focal-status").inner_text() == "62%, 41%"
    for _ in range(12):
        page.keyboard.press("Shift+ArrowLeft")
    assert _numbers(page) == ["0", "41"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "number"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Select photo to change").wait_for()
    assert row.get_by_role("img").first.get_attribute("src") != former
    _open_in_admin(page, "By keys")
    assert _numbers(page) == ["0", "41"]


def test_an_editor_points_at_a_file_that_was_just_chosen(page: Page, photos: Path) -> None:
    """With the mouse, before anything is saved; and takes the point back."""
    _upload(page, photos / "coffee.png", "By mouse", "A cup")
    _log_in(page)
    pad = _open_in_admin(page, "By mouse")
    image = pad.locator("img")
    stored = image.get_attribute("src")
    page.locator("input[type=file]").set_input_files(photos / "astronaut.png")
    page.wait_for_function(
        "() => document.querySelector('.imagekit-focal-pad img').naturalHeight == 512"
    )
    assert image.get_attribute("src") != stored
    pad.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.75)
    page.mouse.up()
    assert [round(float(number)) for number in _numbers(page)] == [25, 75]
    assert pad.evaluate(_POINT) == [25, 75]
    page.get_by_role("button", name="No point").click()
    assert _numbers(page) == ["", ""]


_DROPPED = """([name, text]) => {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], name));
    return dropped;
}"""


def test_an_editor_drops_a_file_and_sees_it_before_it_is_saved(page: Page, photos: Path) -> None:
    """On the input or on the pad; what is no image shows what is stored."""
    _upload(page, photos / "coffee.png", "By hand", "A cup")
    _log_in(page)
    _open_in_admin(page, "By hand")
    stored, chosen = page.locator("a.imagekit-preview"), page.locator(".imagekit-preview-chosen")
    assert stored.is_visible()
    assert not chosen.is_visible()
    for target, name in (
        (".imagekit-input", "rocket.jpg"),
        (".imagekit-focal-stage", "chelsea.png"),
    ):
        content = base64.b64encode((photos / name).read_bytes()).decode()
        event = {"dataTransfer": page.evaluate_handle(_DROPPED, [name, content])}
        page.dispatch_event(target, "dragover", event)
        assert "imagekit-drop" in (page.locator(target).get_attribute("class") or "")
        page.dispatch_event(target, "drop", event)
        assert "imagekit-drop" not in (page.locator(target).get_attribute("class") or "")
        preview = page.get_by_role("img", name=name)
        preview.wait_for()
        shown = page.locator(".imagekit-focal-pad img").get_attribute("src")
        assert preview.get_attribute("src") != shown, "each has an address of its own"
        assert not stored.is_visible()
    page.locator("input[type=file]").set_input_files([])
    stored.wait_for()
    assert not chosen.is_visible()
    page.locator("input[type=file]").set_input_files(photos / "rocket.jpg")
    page.get_by_role("img", name="rocket.jpg").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Select photo to change").wait_for()
    row = page.get_by_role("row").filter(has_text="By hand")
    assert "640" in row.inner_text()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_focal_point_input_fits_its_page(page: Page, width: int) -> None:
    """On a desktop and on a phone nothing sticks out."""
    page.set_viewport_size({"width": width, "height": 900})
    _log_in(page)
    _open_in_admin(page, "Eileen Collins")
    assert _numbers(page) == ["43", "22"]
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_focal_point_input(page: Page, scheme: Any) -> None:
    """Names, roles, contrast: in both colour schemes of the admin."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.emulate_media(color_scheme=scheme)
    _log_in(page)
    _open_in_admin(page, "Eileen Collins")
    found = module.Axe().run(page, context=".imagekit-focal").response["violations"]
    assert page.locator(".imagekit-focal-pad").is_visible()
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), (390, "dark")],
    ids=["desktop-light", "phone-dark"],
)
def test_axe_finds_nothing_on_an_operators_pages(page: Page, width: int, scheme: Any) -> None:
    """The overview and the list of records: names, roles, contrast; and nothing sticks out."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto("")
    _images(page)
    _log_in(page)
    records = "admin/imagekit_registry/cachefilerecordrow/"
    for path, mine in (
        (f"{records}overview/", "#content-main"),
        (records, "#result_list tbody"),
        (records, ".object-tools"),
    ):
        page.goto(path)
        found = module.Axe().run(page, context=mine).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, path


def test_an_operator_has_images_made_again(page: Page) -> None:
    """From the overview to the list of a spec, and from there to the message that says so."""
    page.goto("")
    _images(page)
    _log_in(page)
    page.goto("admin/imagekit_registry/cachefilerecordrow/")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("heading", name="Overview of images").wait_for()
    page.get_by_role("link", name="gallery:photo:list_thumbnail").click()
    page.get_by_role("heading", name="Select cache file record").wait_for()
    page.locator("#result_list tbody input[type=checkbox]").first.check()
    page.get_by_label("Action:").select_option(label="Make again")
    page.get_by_role("button", name="Go").or_(page.get_by_role("button", name="Run")).click()
    page.get_by_text("1 image was made anew.").wait_for()


_STATIC = Path(imagekit_registry.__file__).parent / "static" / "imagekit"


def _form_with_suggestion(photo: Path, value: str | None = None) -> str:
    """Return a form with a stored photograph, for whose point there is a suggestion."""
    attrs = {"id": "id_point", "data-image-field": "image", "data-crops": "60x40"}
    attrs["data-suggestion"] = "0.250,0.750,0.100,0.200"
    uri = f"data:image/jpeg;base64,{base64.b64encode(photo.read_bytes()).decode()}"
    return (
        f'<form><p><a href="{uri}"><img src="{uri}" width="240" height="160" alt=""></a>'
        f'<input type="file" name="image"></p>{FocalPointWidget().render("point", value, attrs)} </form>'
    )


def test_an_editor_takes_over_a_suggestion(page: Page, photos: Path) -> None:
    """It is shown while there is no point, and by one click it is the point."""
    page.goto("admin/login/")
    page.set_content(_form_with_suggestion(photos / "rocket.jpg"))
    page.add_style_tag(path=_STATIC / "admin.css")
    page.add_script_tag(path=_STATIC / "admin.js")
    page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    pad, told = page.get_by_role("application"), page.get_by_text("Suggested: 25% from the left")
    take = page.get_by_role("button", name="Use the suggestion")
    crop = page.locator(".imagekit-focal-crops img")
    take.wait_for()
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    assert module.Axe().run(page, context=".imagekit-focal").response["violations"] == []
    assert pad.evaluate(_POINT) == [25, 75]
    assert crop.evaluate("crop => crop.style.objectPosition") == "25% 75%"
    assert _numbers(page) == ["", ""]
    take.click()
    assert _numbers(page) == ["25", "75"]
    assert page.locator("input[name=point_box]").input_value() == "0.100,0.200"
    assert not told.is_visible()
    assert pad.evaluate("pad => pad === document.activeElement"), "the keys go on from there"
    # Where there is no point any more, it holds again; arrow keys start from it.
    page.get_by_role("button", name="No point").click()
    assert told.is_visible()
    pad.press("ArrowUp")
    assert _numbers(page) == ["25", "74"]
    page.get_by_role("button", name="No point").click()
    # It is not for another file.
    page.locator("input[type=file]").set_input_files(photos / "coffee.png")
    assert not told.is_visible()
    assert pad.evaluate(_POINT) == [50, 50]
    page.locator("input[type=file]").set_input_files([])
    assert told.is_visible()


def test_a_row_that_is_added_to_an_inline_has_its_own_image(page: Page, photos: Path) -> None:
    """The names of a formset's rows tell which file input belongs to which point."""
    rows = ""
    for row in ("0", "__prefix__"):
        point = FocalPointWidget().render(
            f"photos-{row}-point", None, {"id": f"id_{row}", "data-image-field": "image"}
        )
        empty = ' class="empty-form"' if row == "__prefix__" else ""
        rows += f'<div{empty}><p><input type="file" name="photos-{row}-image"></p>{point}</div>'
    page.goto("admin/login/")
    page.set_content(f"<form>{rows}</form>")
    page.add_script_tag(path=_STATIC / "admin.js")
    page.evaluate("""() => {
        const added = document.querySelector('.empty-form');
        added.classList.remove('empty-form');
        added.innerHTML = added.innerHTML.replaceAll('__prefix__', '1');
        for (const row of document.querySelectorAll('form > div')) {
            row.dispatchEvent(new CustomEvent('formset:added', {bubbles: true}));
        }
    }""")
    page.locator("input[name=photos-1-image]").set_input_files(photos / "rocket.jpg")
    pads = page.get_by_role("application")
    pads.wait_for()
    assert pads.count() == 1
    pads.press("ArrowDown")
    values = page.locator("input[type=number]").evaluate_all("all => all.map(each => each.value)")
    assert values == ["", "", "50", "51"]
