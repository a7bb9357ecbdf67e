"""The gallery's addresses."""

from __future__ import annotations

from django.urls import path

from demo.gallery import views

app_name = "gallery"
urlpatterns = [
    path("", views.Gallery.as_view(), name="gallery"),
    path("photos/<int:pk>/", views.PhotoPage.as_view(), name="photo"),
    path("photos/<int:pk>/point/", views.Point.as_view(), name="point"),
    path("sheet/", views.ContactSheet.as_view(), name="sheet"),
    path("upload/", views.Upload.as_view(), name="upload"),
]
