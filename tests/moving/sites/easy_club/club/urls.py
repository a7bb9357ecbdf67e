from django.shortcuts import render
from django.urls import path

from .models import Member


def members(request):
    context = {"members": Member.objects.order_by("pk"), "size": (120, 0), "quality": "55"}
    return render(request, "club/members.html", context)


urlpatterns = [path("", members, name="members")]
