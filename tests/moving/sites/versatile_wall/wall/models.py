from pathlib import Path

from django.db import models
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from versatileimagefield.fields import PPOIField, VersatileImageField
from versatileimagefield.image_warmer import VersatileImageFieldWarmer
from versatileimagefield.placeholder import OnDiscPlaceholderImage


class Post(models.Model):
    title = models.CharField(max_length=100)
    image = VersatileImageField("Picture", upload_to="posts", width_field="width", height_field="height", ppoi_field="ppoi")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    ppoi = PPOIField()
    badge = VersatileImageField(
        upload_to="badges",
        blank=True,
        placeholder_image=OnDiscPlaceholderImage(path=Path(__file__).parent / "nobody.png"),
    )


@receiver(post_save, sender=Post)
def warm_images(sender, instance, **kwargs):
    warmer = VersatileImageFieldWarmer(
        instance_or_queryset=instance, rendition_key_set="wall", image_attr="image"
    )
    warmer.warm()


@receiver(post_delete, sender=Post)
def delete_images(sender, instance, **kwargs):
    instance.image.delete_all_created_images()
    instance.image.delete(save=False)
