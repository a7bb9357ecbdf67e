from easy_thumbnails.files import generate_all_aliases

from .models import QUEUE


def work_off():
    while QUEUE:
        model, pk, field = QUEUE.pop()
        generate_all_aliases(getattr(model.objects.get(pk=pk), field), include_global=True)
