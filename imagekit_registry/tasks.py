"""Where Celery and django-dramatiq look for what their workers run."""

from __future__ import annotations

import sys
from importlib import import_module

# Who looks has loaded its library, and Dramatiq's actors need its broker. The other library, which
# may be installed for other reasons, is not loaded.
if "celery" in sys.modules:
    import_module("imagekit_registry.workers.celery")
if getattr(sys.modules.get("dramatiq.broker"), "global_broker", None) is not None:
    import_module("imagekit_registry.workers.dramatiq")
