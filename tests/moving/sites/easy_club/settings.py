from pathlib import Path

from easy_thumbnails.conf import Settings as thumbnail_settings

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "not a secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "club.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = (
    "django.contrib.contenttypes",
    "club",
    "easy_thumbnails",
)
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "easy_thumbnails": {
        "BACKEND": "easy_thumbnails.storage.ThumbnailFileSystemStorage",
        "OPTIONS": {"location": BASE_DIR / "thumbs", "base_url": "/thumbs/"},
    },
}

THUMBNAIL_PROCESSORS = ("club.processors.stamp",) + thumbnail_settings.THUMBNAIL_PROCESSORS
THUMBNAIL_DEFAULT_OPTIONS = {"subsampling": 1}
THUMBNAIL_EXTENSION = "webp"
THUMBNAIL_TRANSPARENCY_EXTENSION = "webp"
THUMBNAIL_PRESERVE_EXTENSIONS = ("png",)
THUMBNAIL_SUBDIR = "thumbs"
THUMBNAIL_CACHE_DIMENSIONS = True
THUMBNAIL_DEBUG = True
