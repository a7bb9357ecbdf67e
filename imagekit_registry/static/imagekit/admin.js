/* The inputs of the admin: a preview of the file that was just chosen or dropped, and a pad to point at the image,
   beside two number inputs that work without it. */
"use strict";
(function () {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

    function clamp(value) {
        return Math.min(100, Math.max(0, Math.round(value * 10) / 10));
    }

    function takeDrops(target, input) {
        const mark = (isOver) => target.classList.toggle("imagekit-drop", isOver);
        target.addEventListener("dragover", (event) => {
            if (event.dataTransfer.types.includes("Files") && !input.disabled) {
                event.preventDefault();
                mark(true);
            }
        });
        target.addEventListener("dragleave", () => mark(false));
        target.addEventListener("drop", (event) => {
            const [file] = event.dataTransfer.files;
            if (file && !input.disabled) {
                event.preventDefault();
                const one = new DataTransfer();
                one.items.add(file);
                input.files = one.files;
                input.dispatchEvent(new Event("change", { bubbles: true }));
            }
            mark(false);
        });
    }

    function startInput(root) {
        const input = root.querySelector("input[type=file]");
        const stored = root.querySelector(".imagekit-preview");
        const chosen = document.createElement("span");
        const image = makeImage();
        chosen.className = "imagekit-preview imagekit-preview-chosen";
        if (stored) {
            stored.after(chosen);
        } else {
            root.prepend(chosen);
        }

        function show(isChosen) {
            chosen.hidden = !isChosen;
            // An image without an address is none.
            chosen.replaceChildren(...(isChosen ? [image] : []));
            if (stored) {
                stored.hidden = isChosen;
            }
        }

        input.addEventListener("change", () => {
            const [file] = input.files;
            URL.revokeObjectURL(image.src);
            if (file) {
                image.alt = file.name;
                image.src = URL.createObjectURL(file);
            }
            show(Boolean(file));
        });
        // What is no image, or one that the browser does not know, is told of by the form.
        image.addEventListener("error", () => show(false));
        takeDrops(root, input);
        show(false);
    }

    function startPad(root) {
        const find = (selector) => root.querySelector(selector);
        const [x, y] = root.querySelectorAll("input[type=number]");
        const stage = find(".imagekit-focal-stage");
        const pad = find(".imagekit-focal-pad");
        const clear = find(".imagekit-focal-clear");
        const status = find(".imagekit-focal-status");
        const suggestion = find(".imagekit-focal-suggestion");
        const image = makeImage();
        const file = findFile(root);
        const crops = makeCrops(find(".imagekit-focal-crops"), root.dataset.crops || "");
        let former = "";
        pad.prepend(image);

        const hasPoint = () => x.value !== "" && y.value !== "";
        // It is one for the stored file, and for nobody who has set a point.
        const isSuggested = () => Boolean(suggestion) && !hasPoint() && !former;

        function place() {
            const { x: left, y: top } = isSuggested() ? suggestion.dataset : { x: x.value, y: y.value };
            return hasPoint() || isSuggested() ? [clamp(left), clamp(top)] : [50, 50];
        }

        function show() {
            const [left, top] = place().map((number) => `${number}%`);
            Object.assign(pad.lastElementChild.style, { left, top });
            pad.classList.toggle("imagekit-focal-suggested", isSuggested());
            pad.classList.toggle("imagekit-focal-unset", !hasPoint() && !isSuggested());
            crops.forEach((crop) => { crop.style.objectPosition = `${left} ${top}`; });
            clear.disabled = !hasPoint();
            if (suggestion) {
                suggestion.hidden = !isSuggested();
            }
        }

        function move(left, top) {
            x.value = clamp(left);
            y.value = clamp(top);
            show();
        }

        function tell() {
            status.textContent = x.value === "" ? "" : `${x.value}%, ${y.value}%`;
            x.dispatchEvent(new Event("change", { bubbles: true }));
        }

        function load([url, ...others], giveUp = () => fold(true)) {
            image.onerror = () => load(others, giveUp);
            image.onload = () => unfold(image.naturalWidth / image.naturalHeight || 1);
            if (url) {
                [image, ...crops].forEach((each) => { each.src = url; });
            } else {
                giveUp();
            }
        }

        function unfold(proportion) {
            // The pad is as large as the image, so that a point of one is a point of the other.
            pad.style.width = `${Math.min(420, 320 * proportion)}px`;
            pad.style.aspectRatio = proportion;
            fold(false);
        }

        function fold(isFolded) {
            // They need an image to point at.
            [stage, clear, find(".imagekit-focal-help"), suggestion?.lastElementChild].forEach((part) => {
                part?.toggleAttribute("hidden", isFolded);
            });
        }

        function loadStored() {
            const around = file?.closest(".imagekit-input") || file?.closest(".file-upload, p, td, div");
            const preview = around?.querySelector("img[width][height]");
            if (preview) {
                // The page has its place before the image has come, and keeps it if that never comes.
                unfold(preview.getAttribute("width") / preview.getAttribute("height"));
            }
            const urls = [around?.querySelector("a[href]")?.href, around?.querySelector("img")?.src];
            load(urls.filter(Boolean), preview ? () => {} : undefined);
        }

        function loadChosen() {
            URL.revokeObjectURL(former);
            former = file.files.length ? URL.createObjectURL(file.files[0]) : "";
            show();
            if (former) {
                load([former]);
            } else {
                loadStored();
            }
        }

        function point(event) {
            const box = image.getBoundingClientRect();
            move((100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
        }

        pad.addEventListener("pointerdown", (event) => {
            if (event.button === 0) {
                pad.setPointerCapture(event.pointerId);
                point(event);
            }
        });
        pad.addEventListener("pointermove", (event) => {
            if (pad.hasPointerCapture(event.pointerId)) {
                point(event);
            }
        });
        pad.addEventListener("pointerup", tell);
        pad.addEventListener("keydown", (event) => {
            const step = steps[event.key];
            if (step && !event.ctrlKey && !event.altKey && !event.metaKey) {
                event.preventDefault();
                const size = event.shiftKey ? 10 : 1;
                const [left, top] = place();
                move(left + size * step[0], top + size * step[1]);
                tell();
            }
        });
        clear.addEventListener("click", () => {
            x.value = y.value = "";
            show();
            tell();
            pad.focus();
        });
        suggestion?.lastElementChild.addEventListener("click", () => {
            move(suggestion.dataset.x, suggestion.dataset.y);
            find("input[type=hidden]").value = suggestion.dataset.box;
            tell();
            pad.focus();
        });
        [x, y].forEach((input) => input.addEventListener("input", show));
        show();
        if (file) {
            file.addEventListener("change", loadChosen);
            takeDrops(stage, file);
            loadStored();
        }
    }

    function makeImage() {
        const image = document.createElement("img");
        image.alt = "";
        image.draggable = false;
        return image;
    }

    function makeCrops(container, sizes) {
        return sizes.split(" ").filter(Boolean).map((size) => {
            const [width, height] = size.split("x").map(Number);
            const crop = makeImage();
            crop.style.aspectRatio = `${width} / ${height}`;
            crop.title = `${width} × ${height}`;
            container.append(crop);
            return crop;
        });
    }

    function findFile(root) {
        // In a formset the names of both fields begin with the same prefix.
        const prefix = root.dataset.name.slice(0, root.dataset.name.lastIndexOf("-") + 1);
        return root.closest("form")?.elements.namedItem(prefix + root.dataset.imageField);
    }

    function startAll(within) {
        for (const [selector, start] of [[".imagekit-input", startInput], [".imagekit-focal", startPad]]) {
            within.querySelectorAll(selector).forEach((root) => {
                if (!root.dataset.started && !root.closest(".empty-form") && isThere(root)) {
                    root.dataset.started = "true";
                    start(root);
                }
            });
        }
    }

    function isThere(root) {
        // While a page comes in, an element has another one behind it when all of it has come.
        const isWhole = root.nextSibling && (!root.dataset.name || findFile(root));
        return document.readyState !== "loading" || isWhole;
    }

    // As soon as they are there: what unfolds after the page is painted pushes down what is below.
    const observer = new MutationObserver(() => startAll(document));
    observer.observe(document, { childList: true, subtree: true });
    document.addEventListener("DOMContentLoaded", () => {
        observer.disconnect();
        startAll(document);
    });
    document.addEventListener("formset:added", (event) => startAll(event.target));
})();
