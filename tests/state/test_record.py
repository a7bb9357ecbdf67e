"""What a record keeps, when it is believed, and what is read as no record."""

from __future__ import annotations

import json
import string
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.state.record import CacheFileRecord, Status

texts = st.text(max_size=40)
counts = st.none() | st.integers(0, 2**31 - 1)
moments = st.none() | st.floats(0, 1e11)
records = st.builds(
    CacheFileRecord,
    name=texts,
    status=st.sampled_from(Status),
    storage=texts,
    width=counts,
    height=counts,
    size=st.none() | st.integers(0, 2**63 - 1),
    format=texts,
    # A lone "=" stands for the one that the name tells.
    digest=texts.filter(lambda text: text != "="),
    spec_id=texts,
    source=texts,
    fingerprint=st.text(max_size=12),
    placeholder=texts,
    made_at=moments,
    error=st.text(max_size=1_000),
    failures=st.integers(0, 2**31 - 1),
    retry_at=moments,
    published_name=texts,
    obsolete_at=moments,
    quality=st.none() | st.integers(0, 100),
    tries=counts,
    limit=texts,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
#: Machines under load are slow; what is asserted is not.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = ["v", *attrs.fields_dict(CacheFileRecord)]


def make(**fields: Any) -> CacheFileRecord:
    return CacheFileRecord(**{"name": "a.jpg", "status": Status.EXISTS, **fields})


class TestEncode:
    @calm
    @given(records)
    def test_a_record_comes_back_as_it_was(self, record: CacheFileRecord) -> None:
        """Whatever a record holds within its bounds survives being written down."""
        assert CacheFileRecord.decode(record.encode()) == record

    @calm
    @given(records)
    def test_the_text_of_a_record_is_ascii(self, record: CacheFileRecord) -> None:
        """Any cache can hold the text, whatever names and errors are in it."""
        assert set(record.encode()) <= set(string.printable)

    def test_fields_that_are_not_known_take_no_room(self) -> None:
        """Fields with their default value are left out."""
        assert make(width=300).encode() == '[3,"a.jpg","exists",300]'
        assert make(height=200).encode() == '[3,"a.jpg","exists",null,200]'

    def test_a_usual_record_is_small(self) -> None:
        """With key and overhead it is under 330 bytes in Redis, which keeps 156 or more in another size."""
        record = make(
            name="CACHE/images/photos/2026/11/bulldog/0123456789abcdef0123456789abcdef.jpg",
            width=300,
            height=200,
            size=23_456,
            format="JPEG",
            digest="0123456789abcdef0123456789abcdef",
            spec_id="shop:product:thumbnail",
            source="photos/2026/11/bulldog.jpg",
            fingerprint="2754257/2026-09-21 14:13:20.123456+00:00",
            made_at=1_790_000_000.123,
        )
        text = record.encode(key := f"imagekit::be85520b:{record.name}-state")
        assert len(text) <= 130
        assert CacheFileRecord.decode(text, key) == record

    @calm
    @given(records, texts, texts)
    def test_a_name_that_is_in_its_key_is_not_written_again(
        self, record: CacheFileRecord, before: str, after: str
    ) -> None:
        """Only with that key the text is a record; a key that says nothing of the name does no harm."""
        key = before + record.name + after
        assert CacheFileRecord.decode(record.encode(key), key) == record
        assert CacheFileRecord.decode(record.encode("k"), "k") == record
        if record.name:
            assert CacheFileRecord.decode(record.encode(key)) is None

    def test_a_digest_that_the_name_says_is_not_written_again(self) -> None:
        """Our namers call a file by its digest; one that is called otherwise keeps its own."""
        assert make(name="b/0a1b.jpg", digest="0a1b").encode().endswith(',"="]')
        assert make(name="b/0a1b.jpg", digest="0a1b/c").encode().endswith(',"0a1b/c"]')

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), -1, 2**70, object(), b"5", "300", [1], True],
        ids=lambda value: type(value).__name__ + str(value)[:8],
    )
    def test_a_value_that_no_record_may_have_is_written_and_read_as_none(self, value: Any) -> None:
        """A wrong value costs the record, never an exception."""
        assert CacheFileRecord.decode(make(width=value).encode()) is None

    def test_the_error_text_is_cut(self) -> None:
        """An exception may quote a whole file; a record keeps the first 300 characters."""
        error = make(status=Status.FAILED, error="x" * 10_000).error
        assert len(error) == 300
        assert error.endswith("…")

    def test_the_error_text_holds_nothing_that_a_database_refuses(self) -> None:
        """A NUL or half a surrogate pair in a message must not lose the record."""
        assert make(error="bad\0 name \udce4").error == "bad name ?"


class TestDecode:
    @calm
    @given(st.binary() | st.text() | json_values | st.builds(object))
    def test_nothing_makes_decoding_raise(self, value: object) -> None:
        """A cache may hand out anything at all."""
        decoded = CacheFileRecord.decode(value)
        assert decoded is None or isinstance(decoded, CacheFileRecord)

    @calm
    @given(st.dictionaries(st.sampled_from(KEYS) | st.text(), json_values))
    def test_no_json_makes_decoding_raise(self, data: dict[str, Any]) -> None:
        """Text that looks like a record, of any version and any types, is read or refused."""
        text = json.dumps({"v": 2, "name": "a", "status": "exists", **data})
        decoded = CacheFileRecord.decode(text)
        assert decoded is None or CacheFileRecord.decode(decoded.encode()) == decoded

    @calm
    @given(st.lists(json_values, max_size=24), texts)
    def test_no_list_makes_decoding_raise(self, data: list[Any], key: str) -> None:
        """Nor a list that looks like a record, under any key."""
        for values in ([3, *data], [3, "a", "exists", *data], [3, *data[:1], "exists", *data[1:]]):
            decoded = CacheFileRecord.decode(json.dumps(values), key)
            assert decoded is None or CacheFileRecord.decode(decoded.encode()) == decoded

    def test_a_record_of_the_version_before_is_read(self) -> None:
        """A cache that is full of them need not be filled again."""
        text = '{"v":2,"name":"b/0a.jpg","status":"exists","width":5,"fingerprint":"5/2026-09-21 14:13"}'
        assert CacheFileRecord.decode(text, "b/0a.jpg-state") == make(
            name="b/0a.jpg", width=5, fingerprint="5/2026-09-21 14:13"
        )

    @calm
    @given(records, st.data())
    def test_a_damaged_record_is_refused_or_harmless(
        self, record: CacheFileRecord, data: Any
    ) -> None:
        """A text with one character changed or cut off is no record, or a valid other one."""
        text = record.encode()
        position = data.draw(st.integers(0, len(text) - 1))
        for damaged in (text[:position], text[:position] + "\0" + text[position + 1 :]):
            assert CacheFileRecord.decode(damaged) is None

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('{"v":1,"status":"exists","name":"a"}', id="another-version"),
            pytest.param('{"status":"exists","name":"a"}', id="no-version"),
            pytest.param('{"v":2,"status":"exists"}', id="no-name"),
            pytest.param('{"v":2,"name":"a"}', id="no-status"),
            pytest.param('{"v":2,"status":"z","name":"a"}', id="unknown-status"),
            pytest.param('{"v":2,"status":"exists","name":"a","zz":1}', id="unknown-number"),
            pytest.param('{"v":2,"status":"exists","name":"a","zz":"z"}', id="unknown-text"),
            pytest.param('{"v":2,"status":"exists","name":"a","width":"5"}', id="text-for-number"),
            pytest.param('{"v":2,"status":"exists","name":5}', id="number-for-text"),
            pytest.param(
                '{"v":2,"status":"exists","name":"a","width":1.5}', id="fraction-for-count"
            ),
            pytest.param('{"v":2,"status":"exists","name":"a","width":true}', id="truth-for-count"),
            pytest.param('{"v":2,"status":"exists","name":"a","made_at":NaN}', id="nan"),
            pytest.param(
                '{"v":2,"status":"exists","name":"a","made_at":-1}', id="before-the-epoch"
            ),
            pytest.param('{"v":2,"status":"exists","name":null}', id="null"),
            pytest.param('{"v":2,"status":"exists","name":"%s"}' % ("a" * 5_000), id="long-name"),
            pytest.param('{"v":2,"status":"exists","name":"%s"}' % ("a" * 40_000), id="too-long"),
            pytest.param('{"a":' * 20_000, id="nested-too-deep"),
            pytest.param(
                '{"v":2,"status":"exists","name":"a","width":%s}' % ("9" * 10_000), id="huge-number"
            ),
            pytest.param("[" * 30_000, id="no-object-nested-too-deep"),
            pytest.param("[2]", id="no-object"),
            pytest.param("[3]", id="nothing"),
            pytest.param('[2,"a","exists"]', id="list-of-another-version"),
            pytest.param('[3,"a"]', id="list-without-status"),
            pytest.param('[3,null,"exists"]', id="list-without-name"),
            pytest.param('[3,[0,5],"exists"]', id="name-without-key"),
            pytest.param('[3,[],"exists"]', id="no-place-in-the-key"),
            pytest.param('[3,["a","b"],"exists"]', id="no-places-in-the-key"),
            pytest.param('[3,"a","z"]', id="list-with-unknown-status"),
            pytest.param('[3,"a","exists","5"]', id="list-with-text-for-number"),
            pytest.param('[3,"a","exists"%s]' % (",null" * 20), id="too-many-fields"),
        ],
    )
    def test_what_is_not_a_record_of_this_version_is_a_miss(self, text: str) -> None:
        """Unknown, damaged and foreign records all count as absent."""
        assert CacheFileRecord.decode(text) is None

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("exists", Status.EXISTS),
            ("generating", Status.GENERATING),
            ("does_not_exist", Status.MISSING),
        ],
    )
    def test_the_words_of_django_imagekit_are_read(self, word: str, status: str) -> None:
        """A cache filled before the move to this library goes on to serve."""
        record = CacheFileRecord.decode(word)
        assert record == CacheFileRecord(name="", status=status)
        assert record.is_current(0) is (status == Status.EXISTS)

    def test_a_word_that_is_no_status_is_a_miss(self) -> None:
        """A text that is no word of the predecessor says nothing."""
        assert CacheFileRecord.decode("maybe") is None


class TestIsCurrent:
    def test_a_record_of_a_file_that_exists_is_current(self) -> None:
        """Only its deletion, or a check, ends the belief in a file."""
        assert make().is_current(1e10)

    @pytest.mark.parametrize("status", [Status.GENERATING, Status.FAILED, Status.MISSING])
    def test_a_record_of_anything_else_is_current_until_its_moment(self, status: str) -> None:
        """From `retry_at` on, the state is looked up again."""
        record = make(status=status, retry_at=100.0)
        assert record.is_current(99.9)
        assert not record.is_current(100.0)

    @pytest.mark.parametrize("status", [Status.GENERATING, Status.FAILED, Status.MISSING])
    def test_a_record_without_a_moment_is_current_only_if_the_file_exists(
        self, status: str
    ) -> None:
        """No state is stuck for ever, even if its writer set no end."""
        assert not make(status=status).is_current(0)


class TestFingerprint:
    """What a source's content was recognised by."""

    FORMER, NOW = "5/2026-09-21 14:13:20+00:00", "5/2026-09-21 14:13:21+00:00"

    def test_a_long_fingerprint_is_kept_short(self) -> None:
        """It is compared and nothing else: for that a digest does as well."""
        kept = make(fingerprint=self.FORMER).fingerprint
        assert len(kept) == 12
        assert make(fingerprint=kept).fingerprint == kept
        assert make(fingerprint="5/1790").fingerprint == "5/1790"

    def test_another_content_is_told_from_the_same_one(self) -> None:
        """However long either is; what is not known on one side says nothing."""
        record = make(fingerprint=self.FORMER)
        assert not record.is_of_former(self.FORMER)
        assert record.is_of_former(self.NOW)
        assert not record.is_of_former("")
        assert not make().is_of_former(self.NOW)


def test_an_unknown_status_is_refused() -> None:
    """A backend's typing error shows at once, not as a page without images."""
    with pytest.raises(InvalidArgument, match="exists, failed, generating, missing; it is 'done'"):
        make(status="done")
