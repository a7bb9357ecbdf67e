from django.shortcuts import render
from django.urls import path

from .models import Photo


def blog(request):
    return render(request, "photos/blog.html", {"photos": Photo.objects.all()})


urlpatterns = [path("", blog, name="blog")]
