from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from easy_thumbnails.exceptions import InvalidImageFormatError
from easy_thumbnails.files import get_thumbnailer

from .models import Artist, Work


def index(request):
    context = {"works": Work.objects.select_related("artist"), "artists": Artist.objects.all()}
    return render(request, "gallery/index.html", context)


def work(request, pk):
    return render(request, "gallery/easy_thumbnails.html", {"work": get_object_or_404(Work, pk=pk)})


def api(request):
    items = []
    for each in Work.objects.order_by("pk"):
        try:
            card = get_thumbnailer(each.image)["card"]
            item = {"url": request.build_absolute_uri(card.url), "width": card.width}
        except InvalidImageFormatError:
            item = None
        items.append({"title": each.title, "card": item})
    return JsonResponse({"items": items})
