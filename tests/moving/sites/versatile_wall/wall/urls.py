from django.shortcuts import render
from django.urls import path
from rest_framework import generics, serializers
from versatileimagefield.serializers import VersatileImageFieldSerializer

from .models import Post


class PostSerializer(serializers.ModelSerializer):
    image = VersatileImageFieldSerializer(sizes="wall")
    badge = VersatileImageFieldSerializer(sizes=[("icon", "thumbnail__32x32")])

    class Meta:
        model = Post
        fields = ["title", "image", "badge"]


class PostList(generics.ListAPIView):
    queryset = Post.objects.order_by("pk")
    serializer_class = PostSerializer


def wall(request):
    return render(request, "wall/wall.html", {"posts": Post.objects.order_by("pk")})


urlpatterns = [path("", wall, name="wall"), path("api/", PostList.as_view(), name="api")]
