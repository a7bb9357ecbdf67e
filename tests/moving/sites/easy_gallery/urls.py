from django.contrib import admin
from django.urls import path
from gallery import views

urlpatterns = [
    path("", views.index, name="index"),
    path("works/<int:pk>/", views.work, name="work"),
    path("api/works/", views.api, name="api"),
    path("admin/", admin.site.urls),
]
