from django.db import models
from django.urls import reverse
from sorl.thumbnail import ImageField


class Author(models.Model):
    name = models.CharField(max_length=80)
    portrait = ImageField(upload_to="authors", blank=True)

    def __str__(self):
        return self.name


class Post(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, related_name="posts")
    title = models.CharField(max_length=120)
    cover = ImageField(upload_to="covers", blank=True, null=True)
    body = models.TextField(blank=True)

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("post", args=[self.pk])
