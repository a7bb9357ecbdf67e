import sorl.thumbnail
from django.conf import settings
from django.db import models
from sorl.thumbnail import delete, get_thumbnail


class Product(models.Model):
    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)

    @property
    def main_picture(self):
        return self.pictures.order_by("position").first()


class Picture(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="pictures")
    file = sorl.thumbnail.ImageField(upload_to="products/%Y")
    position = models.PositiveIntegerField(default=0)
    focus = models.CharField(max_length=20, default="50% 50%")

    def sized(self, place):
        wanted = settings.GALLERY[place]
        return get_thumbnail(self.file, wanted["geometry"], **wanted["options"])

    def replace(self, content):
        delete(self.file, delete_file=False)
        self.file.save(content.name, content)
