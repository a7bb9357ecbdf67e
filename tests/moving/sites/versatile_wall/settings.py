from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "not a secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "wall.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "rest_framework",
    "versatileimagefield",
    "wall",
]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None}
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"

VERSATILEIMAGEFIELD_SETTINGS = {
    "jpeg_resize_quality": 60,
    "progressive_jpeg": True,
    "sized_directory_name": "sized",
}
VERSATILEIMAGEFIELD_RENDITION_KEY_SETS = {
    "wall": [
        ("full", "url"),
        ("card", "crop__300x300"),
        ("wide", "thumbnail__640x360"),
        ("grey", "filters__grey__crop__60x60"),
    ],
}
