from django import forms
from django.conf import settings
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.generic import CreateView, DetailView, ListView
from sorl.thumbnail.fields import ImageFormField

from .models import Picture, Product


class ProductList(ListView):
    model = Product
    ordering = "pk"
    template_name = "shop/products.html"


class ProductDetail(DetailView):
    model = Product
    template_name = "shop/product.html"
    extra_context = {"zoom": settings.GALLERY["zoom"]}


class PictureForm(forms.ModelForm):
    file = ImageFormField()

    class Meta:
        model = Picture
        fields = ["file"]


class PictureUpload(CreateView):
    form_class = PictureForm
    template_name = "shop/upload.html"

    def form_valid(self, form):
        form.instance.product = get_object_or_404(Product, slug=self.kwargs["slug"])
        return super().form_valid(form)

    def get_success_url(self):
        return reverse("product", args=[self.kwargs["slug"]])


def api(request, slug):
    product = get_object_or_404(Product, slug=slug)
    pictures = []
    for picture in product.pictures.order_by("position"):
        tile = picture.sized("tile")
        pictures.append({"url": tile.url, "size": tile.size, "ratio": tile.ratio})
    return JsonResponse({"name": product.name, "pictures": pictures})
