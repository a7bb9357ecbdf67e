from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from sorl.thumbnail import get_thumbnail

from .models import Post


def index(request):
    posts = Post.objects.select_related("author").order_by("pk")
    return render(request, "journal/index.html", {"posts": posts})


def post(request, pk):
    return render(request, "journal/post.html", {"post": get_object_or_404(Post, pk=pk)})


def feed(request):
    items = []
    for post in Post.objects.exclude(cover="").exclude(cover=None).order_by("pk"):
        image = get_thumbnail(post.cover, "600x315", crop="center", quality=80)
        items.append(
            {
                "title": post.title,
                "image": request.build_absolute_uri(image.url),
                "width": image.width,
                "height": image.height,
            }
        )
    return JsonResponse({"items": items})
