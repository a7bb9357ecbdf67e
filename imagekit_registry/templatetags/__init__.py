"""In a checkout, the tags are found in the top-level `templatetags/`; a wheel holds that folder."""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "templatetags")]
