"""What an operator sees of images in the admin: their records, an overview, and two ways to mend them."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from imagekit_registry import maintenance
from imagekit_registry.cachefiles.results import ResultStatus
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import DatabaseStateStore, Status, get_state_access, get_state_store

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from imagekit_registry.models import CacheFileRecordRow

#: Rows that one action makes images for: a browser waits for it. Commands take any number.
MOST_AT_ONCE = 200
#: Failures that are told one by one.
MOST_TOLD = 5

_STATUSES: Mapping[str, StrPromise] = {
    Status.EXISTS: _("exists"),
    Status.MISSING: _("missing"),
    Status.GENERATING: _("waits for a worker"),
    Status.FAILED: _("failed"),
}


@admin.action(description=_("Make the images of the chosen rows anew"), permissions=["change"])
def make_images_anew(
    modeladmin: admin.ModelAdmin[Model], request: HttpRequest, queryset: QuerySet[Model]
) -> None:
    """Make all that specs make of the image fields of the chosen rows anew: an action for any list.

    What template tags have made of them is made anew by the pages that show it.

    Example:
        >>> @admin.register(Photo)
        ... class PhotoAdmin(admin.ModelAdmin):
        ...     actions = [make_images_anew]
    """
    if _is_too_much(modeladmin, request, queryset):
        return
    _tell(modeladmin, request, maintenance.again.make_rows_again(queryset))


class _StatusFilter(admin.SimpleListFilter):
    title = _("status")
    parameter_name = "status"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Model]
    ) -> list[tuple[str, StrPromise]]:
        return [(str(status), word) for status, word in _STATUSES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class _SpecFilter(admin.SimpleListFilter):
    """Of registered specs: to ask a large table which ids it has takes seconds."""

    title = _("spec")
    parameter_name = "spec"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Model]
    ) -> list[tuple[str, str]]:
        return [(spec_id, spec_id) for spec_id in sorted(generator_registry.get_ids())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(spec_id=self.value()) if self.value() else queryset


class CacheFileRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The records of images as a list that nobody writes to, with an overview beside it.

    It is registered with Django's default admin site; give it to others yourself. There is a list
    where ``IMAGEKIT_STATE_STORE`` is ``"database"``: no other store can list what it has. Then, and
    where tenants may share the table, there is the overview without the numbers.

    Who may view records sees both; who may change them has the actions as well.
    """

    list_display = ("status_word", "spec_id", "source", "bytes", "error", "next_try")
    list_display_links = ("source",)
    list_filter = (_StatusFilter, _SpecFilter)
    search_fields = ("name", "source", "spec_id", "error")
    # What is pending or failed has not been made at any time, and comes first.
    ordering = (F("made_at").desc(nulls_first=True),)
    show_full_result_count = False
    actions = ("make_again", "forget")
    fields = (
        *("status_word", "spec_id", "source", "name", "published_name", "storage"),
        *("width", "height", "format", "bytes", "made", "error", "failures", "next_try"),
    )
    readonly_fields = fields
    change_list_template = "imagekit/admin/record_list.html"

    # Who may do what.

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: records are written by what makes images."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False, as above."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: to forget a record, past all layers of the state, there is an action."""
        return False

    def has_mend_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may have images made again, and records forgotten."""
        return super().has_change_permission(request)

    # The list.

    def get_queryset(self, request: HttpRequest) -> QuerySet[CacheFileRecordRow]:
        """Return the rows of the database that the store writes to."""
        store = _listed_store()
        return store.rows() if store is not None else super().get_queryset(request).none()

    @admin.display(description=_("Status"), ordering="status")
    def status_word(self, row: CacheFileRecordRow) -> str:
        """Return the status in the reader's language."""
        return str(_STATUSES.get(row.status, row.status))

    @admin.display(description=_("Bytes"), ordering="size")
    def bytes(self, row: CacheFileRecordRow) -> str | None:
        """Return the size of the file."""
        return None if row.size is None else filesizeformat(row.size)

    @admin.display(description=_("Next try"), ordering="retry_at")
    def next_try(self, row: CacheFileRecordRow) -> datetime.datetime | None:
        """Return when an image that is not there may be tried again, if it is asked for then."""
        return None if row.status == Status.EXISTS else _moment(row.retry_at)

    @admin.display(description=_("Made"), ordering="made_at")
    def made(self, row: CacheFileRecordRow) -> datetime.datetime | None:
        """Return when the image was made."""
        return _moment(row.made_at)

    @admin.action(description=_("Make again"), permissions=["mend"])
    def make_again(self, request: HttpRequest, queryset: QuerySet[CacheFileRecordRow]) -> None:
        """Make the images of the chosen records anew."""
        if not _is_too_much(self, request, queryset):
            records = get_state_access().get_many(_keys_of(queryset), fresh=True)
            _tell(self, request, maintenance.again.make_records_again(records))

    @admin.action(
        description=_("Forget: the next page looks into the storage"), permissions=["mend"]
    )
    def forget(self, request: HttpRequest, queryset: QuerySet[CacheFileRecordRow]) -> None:
        """Drop the chosen records; the files stay."""
        keys = _keys_of(queryset)
        get_state_access().drop(keys)
        text = ngettext("%d record was forgotten.", "%d records were forgotten.", len(keys))
        self.message_user(request, text % len(keys), messages.SUCCESS)

    # The overview.

    def get_urls(self) -> list[URLPattern]:
        """Add the overview."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_overview"
        view = self.admin_site.admin_view(self.overview_view)
        return [path("overview/", view, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show the list; the overview where there is none."""
        if _listed_store() is None:
            return self.overview_view(request)
        return super().changelist_view(request, extra_context)

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """Show how many images there are, what waits, and what images depend on.

        Raises:
            PermissionDenied: The user may not view records.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        store = _listed_store()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Overview of images"),
            "opts": self.opts,
            "statuses": _STATUSES.values(),
            "is_listed": store is not None,
            "parts": maintenance.overview.describe_parts(),
        }
        if store is not None:
            rows = store.rows()
            counts = maintenance.overview.count_records(rows)
            totals = [sum(count.numbers[status] for count in counts) for status in _STATUSES]
            context["counts"] = [
                (count, [count.numbers[status] for status in _STATUSES]) for count in counts
            ]
            context["totals"] = totals
            context["size"] = sum(count.size for count in counts)
            context["pending"] = pending = maintenance.overview.oldest_pending(rows)
            context["since"] = pending and _moment(timezone.now().timestamp() - pending.seconds)
        return TemplateResponse(request, "imagekit/admin/overview.html", context)


def _listed_store() -> DatabaseStateStore | None:
    """Return the state store, if its table is to be listed and is of nobody else."""
    store = get_state_store()
    return store if isinstance(store, DatabaseStateStore) and not store.space() else None


def _keys_of(rows: QuerySet[CacheFileRecordRow]) -> list[str]:
    """Return the keys of rows of the list."""
    store = _listed_store()
    return store.keys_of(rows) if store is not None else []


def _moment(seconds: float | None) -> datetime.datetime | None:
    zone = timezone.get_current_timezone()
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, zone)


def _is_too_much(
    modeladmin: admin.ModelAdmin[Model], request: HttpRequest, queryset: QuerySet[Model]
) -> bool:
    """Say so if more rows are chosen than a browser can wait for."""
    is_too_much = queryset.count() > MOST_AT_ONCE
    if is_too_much:
        text = _("Choose no more than %d. Any number is made by manage.py generateimages --force.")
        modeladmin.message_user(request, str(text) % MOST_AT_ONCE, messages.ERROR)
    return is_too_much


def _tell(
    modeladmin: admin.ModelAdmin[Model], request: HttpRequest, again: maintenance.again.Again
) -> None:
    """Say what became of images."""
    counts = Counter(result.status for result in again.results)
    for text in _sentences(counts[ResultStatus.MADE], counts[ResultStatus.SCHEDULED], again.left):
        modeladmin.message_user(request, text, messages.SUCCESS)
    errors = [result.error for result in again.results if result.error is not None]
    failures = [*errors, *(error for _, error in again.errors)]
    for failure in failures[:MOST_TOLD]:
        modeladmin.message_user(request, str(failure), messages.ERROR)
    if len(failures) > MOST_TOLD:
        text = str(_("%d more could not be made."))
        modeladmin.message_user(request, text % (len(failures) - MOST_TOLD), messages.ERROR)


def _sentences(made: int, scheduled: int, left: Iterable[object]) -> Iterator[str]:
    others = len(tuple(left))
    if made or not (scheduled or others):
        yield ngettext("%d image was made anew.", "%d images were made anew.", made) % made
    if scheduled:
        yield (
            ngettext(
                "%d image was handed to a worker.", "%d images were handed to workers.", scheduled
            )
            % scheduled
        )
    if others:
        yield (
            ngettext(
                "%d image is made anew by the next page that shows it.",
                "%d images are made anew by the next pages that show them.",
                others,
            )
            % others
        )
