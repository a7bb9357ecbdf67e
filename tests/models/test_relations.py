"""Spec fields whose sources are in related rows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.management import call_command
from django.db import models
from django.template import Context, Template
from django.test import Client
from django.test.utils import isolate_apps

from imagekit_registry import delete_images, prefetch_images
from imagekit_registry.checks import check_field
from imagekit_registry.exceptions import MissingSource
from imagekit_registry.models import ImageSpecField
from imagekit_registry.testing import assert_state_trips, forget_state
from tests.storages import content_of
from tests.testapp.models import Account, Article, Owner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article(photos: Path) -> Article:
    """Return an article whose account has a real photograph, as a query gives it."""
    account = Account.objects.create(
        owner=Owner.objects.create(), image=content_of(photos / "rocket.jpg")
    )
    return Article.objects.get(pk=Article.objects.create(account=account).pk)


def show(article: Article) -> str:
    """Return what a page of a developer shows."""
    text = '{% load imagekit %}{% generateimage article.thumbnail -- alt="" %}'
    return Template(text).render(Context({"article": article}))


class TestReading:
    """What the attribute gives."""

    def test_a_source_is_read_through_relations(self, article: Article) -> None:
        """A foreign key, the other side of a one-to-one relation, and several in turn."""
        assert article.account is not None
        assert article.account.owner is not None
        assert (article.thumbnail.width, article.thumbnail.height) == (30, 20)
        assert article.thumbnail.url.startswith("/media/CACHE/images/accounts/rocket/")
        assert article.account.owner.icon.width == 12
        assert article.far.width == 8
        assert article.thumbnail.source == article.account.image

    def test_a_source_through_a_relation_gives_the_same_object_twice(
        self, article: Article, django_assert_num_queries: Any
    ) -> None:
        """The related row is fetched once."""
        with django_assert_num_queries(1):
            assert article.thumbnail is article.thumbnail

    @pytest.mark.parametrize("is_related", [False, True])
    def test_a_row_without_an_image_behind_it_shows_nothing(
        self, settings: Any, is_related: bool
    ) -> None:
        """Whether nothing is related, or the related field is empty; also where errors are raised."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        article = Article.objects.create(account=Account.objects.create() if is_related else None)
        assert not article.thumbnail
        assert not Owner.objects.create().icon
        assert show(article) == ""
        with pytest.raises(MissingSource, match="no source"):
            _ = article.thumbnail.url
        assert Template("{{ article.thumbnail.url }}").render(Context({"article": article})) == ""

    def test_another_related_row_gives_another_image(self, article: Article, photos: Path) -> None:
        """As soon as it is assigned."""
        before = article.thumbnail.name
        article.account = Account.objects.create(image=content_of(photos / "coffee.png"))
        assert article.thumbnail.name != before
        article.account = None
        assert not article.thumbnail

    def test_a_pickled_row_finds_the_source_again(self, article: Article) -> None:
        """For Django's cache."""
        url = article.thumbnail.url
        assert pickle.loads(pickle.dumps(article)).thumbnail.url == url
        assert pickle.loads(pickle.dumps(article.thumbnail)).url == url


class TestMany:
    """Lists of rows."""

    @pytest.fixture
    def many(self, photos: Path) -> None:
        """Store eight articles of three accounts, and make their images."""
        accounts = [
            Account.objects.create(image=content_of(photos / "rocket.jpg")) for _ in range(3)
        ]
        Article.objects.bulk_create(Article(account=accounts[i % 3]) for i in range(7))
        Article.objects.create()
        call_command("generateimages", "testapp:article", verbosity=0)
        forget_state()

    @pytest.mark.usefixtures("many")
    @pytest.mark.parametrize("names", [(), ("thumbnail", "icon", "far")], ids=["all", "named"])
    def test_a_prefetch_fetches_related_rows_together(
        self, names: tuple[str, ...], django_assert_num_queries: Any
    ) -> None:
        """One query for the articles, one for their accounts; one round trip for the states."""
        with assert_state_trips(1), django_assert_num_queries(2):
            articles = prefetch_images(Article.objects.all(), *names)
            assert [bool(each.thumbnail.url) for each in articles if each.account] == [True] * 7

    @pytest.mark.usefixtures("many")
    def test_a_prefetch_takes_related_rows_that_are_there(
        self, django_assert_num_queries: Any
    ) -> None:
        """What was selected together is not asked for again."""
        with assert_state_trips(1), django_assert_num_queries(1):
            articles = Article.objects.select_related("account")
            prefetch_images(articles, "thumbnail", "icon")

    @pytest.mark.usefixtures("many")
    def test_a_prefetch_through_a_relation_fetches_what_the_images_need(
        self, django_assert_num_queries: Any
    ) -> None:
        """The spec field of a related row, whose source is in a row of its own."""
        for account in Account.objects.all():
            account.owner = Owner.objects.create()
            account.save()
        articles = Article.objects.exclude(account=None).select_related("account__owner")
        with assert_state_trips(1), django_assert_num_queries(1):
            shown = prefetch_images(articles, "account__owner__icon")
            assert [bool(each.account.owner.icon.name) for each in shown] == [True] * 7

    @pytest.mark.usefixtures("many")
    @pytest.mark.skipif(django.VERSION < (6, 1), reason="needs the fetch mode of peers")
    def test_peers_fetch_rows_and_states_together(self, django_assert_num_queries: Any) -> None:
        """One query for the accounts, one round trip for the states."""
        rows: Any = Article.objects.exclude(account=None)
        articles = list(rows.fetch_mode(models.FETCH_PEERS))
        with assert_state_trips(1), django_assert_num_queries(1):
            assert all(each.thumbnail.url for each in articles)

    def test_a_command_makes_the_images_of_related_rows(
        self, article: Article, photos: Path, django_assert_num_queries: Any
    ) -> None:
        """However many rows relate to one; those of the rows that are chosen, by a lookup."""
        Article.objects.create(account=article.account)
        lonely = Account.objects.create(image=content_of(photos / "coffee.png"))
        with django_assert_num_queries(1):
            call_command(
                "generateimages",
                "testapp:article",
                model="testapp.Account",
                filter=["article__isnull=False"],
                verbosity=0,
            )
        assert article.thumbnail.exists()
        assert not Article(account=lonely).thumbnail.exists()


class TestComingAndGoing:
    """What becomes of images when the related row is saved or deleted."""

    def test_a_new_image_of_the_related_row_removes_what_was_made(
        self, article: Article, photos: Path
    ) -> None:
        """As for a source of the row itself."""
        account, old = article.account, article.thumbnail
        assert account is not None
        old.generate()
        account.image.save("new.jpg", content_of(photos / "coffee.png"))
        assert not old.storage.exists(str(old.name))
        assert Article.objects.get().thumbnail.name != old.name

    def test_the_same_name_with_another_content_is_made_anew(
        self, article: Article, photos: Path
    ) -> None:
        """A storage may put a new file in the place of the old one."""
        account = article.account
        assert account is not None
        article.thumbnail.generate()
        with article.thumbnail.open() as file:
            before = file.read()
        account.image.storage.delete(str(account.image.name))
        account.image.save("rocket.jpg", content_of(photos / "coffee.png"))
        with Article.objects.get().thumbnail.open() as file:
            assert file.read() != before

    def test_deleting_the_related_row_deletes_what_was_made(self, article: Article) -> None:
        """Both images of the article, and that of its owner."""
        assert article.account is not None
        made = [article.thumbnail, article.icon]
        for each in made:
            each.generate()
        article.account.delete()
        assert [each.storage.exists(str(each.name)) for each in made] == [False, False]
        assert not Article.objects.get().thumbnail

    def test_images_through_relations_are_deleted_with_those_of_their_source(
        self, article: Article
    ) -> None:
        """By the function for all images of a source."""
        assert article.account is not None
        article.thumbnail.generate()
        delete_images(article.account.image)
        assert not article.thumbnail.exists()

    @pytest.mark.django_db(transaction=True, databases="__all__")
    def test_images_of_related_rows_are_no_orphans(self, article: Article) -> None:
        """A cleaning leaves them alone."""
        article.thumbnail.generate()
        call_command("cleanimages", verbosity=0)
        assert article.thumbnail.storage.exists(str(article.thumbnail.name))

    def test_a_page_with_the_image_asks_for_nothing_twice(
        self, article: Article, client: Client
    ) -> None:
        """A warm image is shown from its record."""
        show(article)
        forget_state()
        with assert_state_trips(1):
            assert 'width="30"' in show(Article.objects.select_related("account").get())


class TestChecks:
    """What `manage.py check` says of relations."""

    @pytest.mark.parametrize(
        ("source", "id", "text"),
        [
            pytest.param("nobody__image", "E023", "Article has no 'nobody'", id="no-relation"),
            pytest.param("title__image", "E023", "title is no relation to one row", id="no-key"),
            pytest.param("account__article__image", "E023", "no relation to one row", id="many"),
            pytest.param("account__picture", "E003", "'account__picture'", id="no-image"),
            pytest.param("account__owner", "E004", "which is no ImageField", id="other-field"),
        ],
    )
    def test_a_path_that_leads_to_no_image_is_an_error(
        self, source: str, id: str, text: str
    ) -> None:
        """It names the field, and what is wrong with the path."""
        field = ImageSpecField([], source=source, format="PNG", id=f"tests:{source}")
        field.name = "wrong"
        (error,) = check_field(field, Article)
        assert error.id == f"imagekit.{id}"
        assert text in str(error.msg)
        assert "testapp.Article.wrong" in str(error.msg)

    def test_a_path_that_leads_to_an_image_passes(self) -> None:
        """A foreign key, a one-to-one relation, and several."""
        for field, model in (
            (Article.thumbnail, Article),
            (Article.far, Article),
            (Owner.icon, Owner),
        ):
            assert [*check_field(field, model)] == []

    @isolate_apps("tests.testapp")
    def test_a_model_that_is_made_later_is_fed_as_well(self) -> None:
        """As those of tests are."""

        class Later(models.Model):
            account = models.ForeignKey(Account, models.CASCADE)
            small = ImageSpecField([], source="account__image", format="PNG", id="tests:later")

            class Meta:
                app_label = "testapp"

        from imagekit_registry.registry import source_group_registry

        (group,) = source_group_registry.groups_of("tests:later")
        assert repr(group) == "<ImageFieldSourceGroup: testapp.Account.image>"
        assert Later.small.relation == "account"
