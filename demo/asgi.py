"""The demo for ASGI servers: `uvicorn demo.asgi:application`, from the folder above."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")

application = get_asgi_application()
