from django.urls import path

from . import views

urlpatterns = [
    path("", views.ProductList.as_view(), name="products"),
    path("upload/<slug:slug>/", views.PictureUpload.as_view(), name="upload"),
    path("api/<slug:slug>/", views.api, name="api"),
    path("<slug:slug>/", views.ProductDetail.as_view(), name="product"),
]
