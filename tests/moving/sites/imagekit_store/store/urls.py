from django.contrib import admin
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from .forms import ArticleForm
from .models import Article


def articles(request):
    return render(request, "store/articles.html", {"articles": Article.objects.all()})


def add(request):
    form = ArticleForm(request.POST, request.FILES)
    if form.is_valid():
        form.save()
        return redirect("articles")
    return HttpResponse(form.errors.as_text(), status=400)


urlpatterns = [path("", articles, name="articles"), path("add/", add, name="add"), path("admin/", admin.site.urls)]
