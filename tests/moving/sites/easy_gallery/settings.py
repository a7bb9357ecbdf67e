from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "not a secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "easy_thumbnails",
    "gallery",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"

THUMBNAIL_ALIASES = {
    "": {
        "icon": {"size": (32, 32), "crop": True},
        "large": {"size": (640, 640)},
    },
    "gallery": {
        "card": {"size": (240, 160), "crop": "smart", "upscale": True},
    },
    "gallery.Artist.portrait": {
        "icon": {"size": (48, 48), "crop": True, "target": (50, 30)},
        "round": {"size": (96, 96), "crop": ",0", "bw": True},
    },
}
THUMBNAIL_QUALITY = 80
THUMBNAIL_WIDGET_OPTIONS = {"size": (120, 90), "crop": True}
