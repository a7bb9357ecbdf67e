import os

BASE_DIR = os.path.dirname(os.path.abspath(__file__))
SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "shop",
    'sorl.thumbnail',
)
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.path.join(BASE_DIR, "uploads"), "base_url": "/uploads/"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_URL = "/uploads/"

THUMBNAIL_PRESERVE_FORMAT = True
THUMBNAIL_UPSCALE = False
THUMBNAIL_PADDING_COLOR = "#f0f0f0"
THUMBNAIL_ALTERNATIVE_RESOLUTIONS = [2]
THUMBNAIL_DEBUG = False

# Options of pictures by their place.
GALLERY = {
    "tile": {"geometry": "160x160", "options": {"padding": True}},
    "zoom": {"geometry": "900x900", "options": {"quality": 90, "progressive": False}},
}
