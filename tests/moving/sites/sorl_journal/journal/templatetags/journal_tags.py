from django import template
from sorl.thumbnail.shortcuts import get_thumbnail

register = template.Library()


@register.simple_tag
def avatar(author, side=48):
    if not author.portrait:
        return ""
    return get_thumbnail(author.portrait, f"{side}x{side}", crop="center top", format="PNG").url
