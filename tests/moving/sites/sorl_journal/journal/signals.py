from django.db.models.signals import post_delete
from django.dispatch import receiver
from sorl import thumbnail

from .models import Post


@receiver(post_delete, sender=Post)
def remove_cover(sender, instance, **kwargs):
    if instance.cover:
        thumbnail.delete(instance.cover)
