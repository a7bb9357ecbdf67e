"""``python -m benchmarks.qualities``: the table of `imagekit_registry.imaging.qualities`, by photographs.

For each word and format it prints the least quality whose mean SSIMULACRA2 score over the photographs
of the demo is that of the word. Save options are the default ones.
"""

from __future__ import annotations

from pathlib import Path

from imagekit_registry.conf import FORMAT_OPTIONS
from imagekit_registry.imaging.qualities import FULL_COLOUR
from imagekit_registry.maintenance.tuning import FORMATS, Tuner, prepared

PHOTOS = Path(__file__).resolve().parent.parent / "demo" / "photos"
SCORES = {"low": 60, "medium": 70, "high": 78, "max": 90}


def main() -> None:
    """Print the table, and what the default qualities score."""
    paths = sorted(path for path in PHOTOS.iterdir() if path.suffix in {".jpg", ".png"})
    photos = []
    for path in paths:
        with path.open("rb") as file:
            photos.append(prepared(file))
    tuner = Tuner(photos, FORMAT_OPTIONS)
    for word, score in SCORES.items():
        options = {
            format: {**options, **(FULL_COLOUR.get(format, {}) if word == "max" else {})}
            for format, options in FORMAT_OPTIONS.items()
        }
        of_word = tuner if word != "max" else Tuner(photos, options)
        found = {format: of_word.find(format, score) for format in FORMATS}
        scores = ", ".join(f"{of_word.score(*each):.1f}" for each in found.items())
        print(f'    "{word}": {found!r},  # {scores}'.replace("'", '"'))
    for format in FORMATS:
        default = FORMAT_OPTIONS[format]["quality"]
        print(f"# {format} {default}: {tuner.score(format, default):.1f}")


if __name__ == "__main__":
    main()
