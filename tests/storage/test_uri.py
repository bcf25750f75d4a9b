"""Parts of object storage URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.storage.uri import ObjectUri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://conn@bucket/dir/a.mp4", ObjectUri("s3", "conn", "bucket", "dir/a.mp4")),
        ("s3://bucket/what?/no#1@x.mp4", ObjectUri("s3", "", "bucket", "what?/no#1@x.mp4")),
        ("s3://[bad/a.mp4", ObjectUri("s3", "", "[bad", "a.mp4")),
        ("gs://bucket", ObjectUri("gs", "", "bucket", "")),
        ("file:///videos/a.mp4", ObjectUri("file", "", "", "videos/a.mp4")),
        ("file://conn@/videos/a.mp4", ObjectUri("file", "conn", "", "videos/a.mp4")),
        ("/videos/a@b.mp4", ObjectUri("", "", "", "/videos/a@b.mp4")),
        ("videos", ObjectUri("", "", "", "videos")),
        ("://videos", ObjectUri("", "", "", "://videos")),
    ],
)
def test_a_uri_has_a_scheme_a_connection_an_authority_and_a_key(uri: str, parts: ObjectUri) -> None:
    assert ObjectUri.parse(uri) == parts


NAMES = st.text("abcABC019.-_", min_size=1)


@given(NAMES, st.just("") | NAMES, NAMES, st.text())
def test_parts_survive_being_written_and_parsed(
    scheme: str, connection: str, authority: str, key: str
) -> None:
    parts = ObjectUri(scheme, connection, authority, key)
    assert ObjectUri.parse(str(parts)) == parts
