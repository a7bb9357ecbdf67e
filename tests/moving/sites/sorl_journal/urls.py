from django.contrib import admin
from django.urls import path

from journal import views

urlpatterns = [
    path("", views.index, name="index"),
    path("posts/<int:pk>/", views.post, name="post"),
    path("feed/", views.feed, name="feed"),
    path("admin/", admin.site.urls),
]
