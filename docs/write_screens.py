"""Makes the pictures of pages, as Chromium shows them: of the demo, which must be running, and of placeholders.

make demo &
python -m docs.write_screens http://127.0.0.1:8000/
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from collections.abc import Iterator

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from docs.write_pictures import PHOTOS, STATIC
from imagekit_registry import processors
from imagekit_registry.imaging import placeholders

_RECORDS = "admin/imagekit_registry/cachefilerecordrow/overview/"
_KINDS = ("lqip", "css", "color")
_SHOWN = ("dandelion.jpg", "dogs.jpg", "fig.jpg")
_STYLE = """<!DOCTYPE html><style>
    body { margin: 0; width: 688px; display: grid; grid-template-columns: repeat(4, 160px); gap: 16px }
    div { height: 110px }
</style>"""


def _with_placeholders() -> Iterator[str]:
    """Yield elements that show photographs, each followed by those of its placeholders."""
    for name in _SHOWN:
        photo = Image.open(PHOTOS / name)
        image = processors.ResizeToFill(160, 110, anchor=(0.4, 0.4)).process(photo)
        image.save(file := io.BytesIO(), "PNG")
        uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        yield f'<div style="background:url({uri})"></div>'
        for kind in _KINDS:
            text = placeholders.make_placeholder(image, {kind: placeholders.get_maker(kind)})
            yield f'<div style="{placeholders.Placeholder.decode(text).css}"></div>'


def _save(page: Page, name: str, selector: str) -> None:
    shot = Image.open(io.BytesIO(page.locator(selector).first.screenshot()))
    shot.save(STATIC / f"{name}.webp", quality=85, method=6)


def main(address: str) -> None:
    """Write the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_content(_STYLE + "".join(_with_placeholders()))
        _save(page, "placeholders", "body")
        page.goto(address, wait_until="networkidle")
        _save(page, "gallery", ".tiles")
        page.goto(f"{address}admin/login/?next=/admin/gallery/photo/")
        page.fill("#id_username", "demo")
        page.fill("#id_password", "demo")
        page.click("[type=submit]")
        page.wait_for_load_state("networkidle")
        _save(page, "admin-list", "#result_list")
        page.get_by_role("link", name="Neighbours").last.click()
        page.wait_for_load_state("networkidle")
        _save(page, "admin-form", "fieldset.module")
        page.goto(address + _RECORDS, wait_until="networkidle")
        _save(page, "admin-overview", "#content-main")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
