from django.http import JsonResponse
from django.shortcuts import render
from django.urls import path

from .models import Photo


def team(request):
    return render(request, "photos/team.html", {"photos": Photo.objects.all()})


def api(request):
    return JsonResponse({photo.title: photo.image.square.url for photo in Photo.objects.all()})


urlpatterns = [path("", team, name="team"), path("api/", api, name="api")]
