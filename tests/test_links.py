"""Pages of stored videos in the consoles of their clouds."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.links import console_url


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("s3://bucket/dir/a.mp4", "https://console.aws.amazon.com/s3/object/bucket?prefix=dir/a.mp4"),
        ("s3a://aws_conn@bucket/a.mp4", "https://console.aws.amazon.com/s3/object/bucket?prefix=a.mp4"),
        (
            "s3://bucket/a b&c=d?e#f.mp4",
            "https://console.aws.amazon.com/s3/object/bucket?prefix=a%20b%26c%3Dd%3Fe%23f.mp4",
        ),
        ("s3://bucket/ü%20.mp4", "https://console.aws.amazon.com/s3/object/bucket?prefix=%C3%BC%2520.mp4"),
        (
            "gs://bucket/dir/a.mp4",
            "https://console.cloud.google.com/storage/browser/_details/bucket/dir/a.mp4",
        ),
        (
            "gcs://conn@bucket/a?.mp4",
            "https://console.cloud.google.com/storage/browser/_details/bucket/a%3F.mp4",
        ),
        ("file:///videos/a.mp4", "file:///videos/a.mp4"),
        ("abfs://box@account/a.mp4", "abfs://box@account/a.mp4"),
        ("/videos/a.mp4", "/videos/a.mp4"),
        ("s3://[bad/a.mp4", "https://console.aws.amazon.com/s3/object/%5Bbad?prefix=a.mp4"),
        ("javascript:alert(1)", ""),
        (" JavaScript://x/%0aalert(1)", ""),
        ("data:text/html,<script>", ""),
        ("", ""),
    ],
)
def test_the_page_of_a_stored_video(uri: str, page: str) -> None:
    assert console_url(uri) == page


@given(
    st.from_regex(r"[a-z0-9.-]{3,20}", fullmatch=True),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
)
def test_the_page_names_exactly_the_object(bucket: str, key: str) -> None:
    s3 = urlsplit(console_url(f"s3://conn@{bucket}/{key}"))
    assert (s3.netloc, s3.path) == ("console.aws.amazon.com", f"/s3/object/{bucket}")
    assert parse_qs(s3.query, keep_blank_values=True) == {"prefix": [key]}
    gs = urlsplit(console_url(f"gs://{bucket}/{key}"))
    assert unquote(gs.path) == f"/storage/browser/_details/{bucket}/{key}"
    assert (gs.query, gs.fragment) == ("", "")
