"""Certificates and proxies from the environment, over real TLS servers and real proxies."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.environment import (
    SettingError,
    is_excepted,
    proxy_of,
    tls_context,
    trusted_certificates,
)
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import ONCE, is_transient, was_not_accepted
from airflow_provider_veo3.api.transport import open_file
from airflow_provider_veo3.api.urls import Url
from tests.support import samples
from tests.support.proxy import TunnelProxy, running_proxy
from tests.support.raw_server import RawServer, closed_port, reply, running_server
from tests.support.samples import ID
from tests.support.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.drive import Clock, Driver

HOST = "api.veo3.example"
"""Name of the TLS server, which only the proxy resolves."""

VARIABLES = (
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)


@pytest.fixture(autouse=True)
def _empty_environment(_no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(self_signed(HOST))
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_server(context) as server:
        server.script = [reply(200, samples.COMPLETED)]
        yield server


@pytest.fixture
def proxy(tls_server: RawServer) -> Iterator[TunnelProxy]:
    with running_proxy(tls_server.port) as proxy:
        yield proxy


def status(url: str) -> flows.Flow[Any]:
    return flows.get_generation(ID, url, ONCE)


def submit(url: str) -> flows.Flow[Any]:
    return flows.submit(GenerationRequest("text-to-video", "x"), url, {}, ONCE)


def folder_of(certificate: Path) -> str:
    """A folder of certificates as ``openssl rehash`` names them."""
    import subprocess

    folder = certificate.parent / "folder"
    folder.mkdir(exist_ok=True)
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", certificate],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    (folder / f"{hashed.stdout.strip()}.0").write_bytes(certificate.read_bytes())
    return str(folder)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_each_variable_makes_worker_and_triggerer_and_downloads_trust(
    tls_server: RawServer, drive: Driver, certificate: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, folder_of(certificate) if name == "SSL_CERT_DIR" else str(certificate))
    assert drive(tls_server.url, status(tls_server.url)).id == ID
    with open_file(f"{tls_server.url}/a.mp4", timeout=30) as response:
        assert response.status == 200


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_goes_before_the_other_variables(
    tls_server: RawServer, drive: Driver, certificate: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv(name, certifi.where())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(errors.Veo3EnvironmentError, match=name):
        drive(tls_server.url, status(tls_server.url))
    assert tls_server.received == []


def test_an_unknown_authority_ends_at_once_and_names_the_variables(
    tls_server: RawServer, drive: Driver, clock: Clock
) -> None:
    for flow in (status(tls_server.url), submit(tls_server.url)):
        with pytest.raises(errors.Veo3EnvironmentError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            drive(tls_server.url, flow)
        assert isinstance(caught.value, errors.Veo3ConnectionConfigError)
        assert not is_transient(caught.value)
        assert was_not_accepted(caught.value)
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "workers and the triggerer"):
            assert name in str(caught.value)
    with (
        pytest.raises(errors.Veo3EnvironmentError, match="REQUESTS_CA_BUNDLE"),
        open_file(f"{tls_server.url}/a.mp4?sig=secret", timeout=30),
    ):
        pass
    assert clock.pauses == []
    assert tls_server.received == []


@pytest.mark.parametrize(
    ("content", "trouble"),
    [(None, "does not exist"), (b"no certificate", "cannot be read"), (b"", "cannot be")],
)
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_certificates_that_cannot_be_used_is_named(  # noqa: PLR0917 - fixtures
    drive: Driver,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(name, str(path))
    with pytest.raises(errors.Veo3EnvironmentError, match=f"{name}=.*{trouble}") as caught:
        drive("https://127.0.0.1:9", submit("https://127.0.0.1:9"))
    assert was_not_accepted(caught.value)


def test_without_a_variable_the_system_and_certifi_are_trusted() -> None:
    import certifi

    known = ssl.create_default_context(cafile=certifi.where()).get_ca_certs()
    assert len(tls_context({}).get_ca_certs()) >= len(known) > 50
    assert trusted_certificates({}) == "the system and the package certifi"


def test_certificates_that_are_replaced_are_read_again(certificate: Path, tmp_path: Path) -> None:
    import os

    path = tmp_path / "ca.pem"
    path.write_bytes(certificate.read_bytes())
    environment = {"SSL_CERT_FILE": str(path)}
    first = tls_context(environment)
    assert tls_context(environment) is first
    path.write_bytes(self_signed())
    os.utime(path, (1, 1))
    assert tls_context(environment) is not first


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_opens_a_tunnel_and_sees_no_key(  # noqa: PLR0917 - fixtures
    tls_server: RawServer,
    proxy: TunnelProxy,
    drive: Driver,
    certificate: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv(name, f"http://user:pass%40word@127.0.0.1:{proxy.port}")
    url = f"https://{HOST}"
    assert drive(url, status(url)).id == ID
    with open_file(f"{url}/a.mp4", timeout=30) as response:
        assert response.status == 200
    assert [(got.method, got.target) for got in proxy.received] == [("CONNECT", f"{HOST}:443")] * 2
    for got in proxy.received:
        assert got.headers["proxy-authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="
        assert "x-api-key" not in got.headers
    assert all("proxy-authorization" not in got.headers for got in tls_server.received)
    assert len(tls_server.received) == 2


@pytest.mark.parametrize("refusal", [407, 502, 503, 403])
def test_a_proxy_that_refuses_a_tunnel_means_that_nothing_was_sent(
    tls_server: RawServer, drive: Driver, refusal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy(tls_server.port, refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(errors.Veo3NoAnswerError, match="never sent; no credits were spent") as caught:
            drive(f"https://{HOST}", submit(f"https://{HOST}"))
    assert was_not_accepted(caught.value)
    assert is_transient(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert str(refusal) in str(caught.value)
    assert tls_server.received == []


def test_a_proxy_that_is_down_means_that_nothing_was_sent(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed_port() as (url, _):
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(errors.Veo3NoAnswerError, match="HTTPS_PROXY names") as caught:
            drive(f"https://{HOST}", submit(f"https://{HOST}"))
    assert was_not_accepted(caught.value)
    assert is_transient(caught.value)


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        ("socks5://127.0.0.1:1080", "package socksio is missing"),
        ("socks5h://user:secret@127.0.0.1:1080", "package socksio is missing"),
        ("ftp://127.0.0.1:21", "is no proxy that can be used"),
        ("http://", "is no proxy that can be used"),
        ("http://127.0.0.1:port", "is no proxy that can be used"),
        ("http://a b", "is no proxy that can be used"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_named(
    drive: Driver, name: str, value: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv(name, value)
    for flow in (submit("https://x.example"), status("https://x.example")):
        with pytest.raises(errors.Veo3EnvironmentError, match=f"{name}=.*{trouble}") as caught:
            drive("https://x.example", flow)
        assert was_not_accepted(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_reached_directly_under_every_proxy(
    server: RawServer, drive: Driver, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = [reply(200, samples.COMPLETED)]
    with running_proxy(server.port) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert drive(server.url, status(server.url)).id == ID
        with open_file(f"{server.url}/a.mp4", timeout=30) as response:
            assert response.status == 200
        assert proxy.connections == 0


def test_no_netrc_and_no_cookie_is_sent(
    server: RawServer, drive: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / ".netrc", tmp_path / "named"):
        path.write_text("default login somebody password secret\n")
        path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "named"))
    server.script = [reply(200, samples.COMPLETED, {"Set-Cookie": "a=b; Path=/"})]
    drive(server.url, status(server.url), status(server.url))
    with open_file(f"{server.url}/a.mp4", timeout=30) as response:
        assert response.status == 200
    assert len(server.received) == 3
    for got in server.received:
        assert not {"authorization", "cookie", "proxy-authorization"} & set(got.headers)
    assert ["x-api-key" in got.headers for got in server.received] == [True, True, False]


EXCEPTIONS = [
    ("*", "https://a.example", True),
    ("a.example", "https://a.example", True),
    ("a.example", "https://b.a.example", True),
    (".a.example", "https://b.a.example", True),
    (".a.example", "https://a.example", True),
    ("*.a.example", "https://b.a.example", True),
    ("A.Example", "https://a.example", True),
    ("a.example", "https://a.example.", True),
    ("a.example", "https://aa.example", False),
    ("a.example:443", "https://a.example", True),
    ("a.example:8443", "https://a.example", False),
    ("x, a.example", "https://a.example", True),
    ("x a.example", "https://a.example", True),
    ("", "https://a.example", False),
    (",", "https://a.example", False),
    ("10.0.0.0/8", "https://10.1.2.3", True),
    ("10.0.0.0/8", "https://11.1.2.3", False),
    ("10.1.2.3", "https://10.1.2.3", True),
    ("fd00::/8", "https://[fd12::1]", True),
    ("fd00::/8", "https://[fe80::1]", False),
    ("[fd00::]/8", "https://[fd12::1]", True),
    ("fd12::1", "https://[fd12::1]", True),
    ("[fd12::1]:443", "https://[fd12::1]", True),
    ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", True),
    ("10.0.0.0/33", "https://10.1.2.3", False),
    ("10.0.0.0/8", "https://ten.example", False),
]


@pytest.mark.parametrize(("value", "url", "direct"), EXCEPTIONS)
def test_what_no_proxy_excepts(value: str, url: str, direct: bool) -> None:
    assert is_excepted(Url.parse(url), value) is direct
    environment = {"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": value}
    assert (proxy_of(Url.parse(url), environment) is None) is direct


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "https://p"}, "https://p:443"),
        ({"HTTPS_PROXY": "http://[fd00::1]:8"}, "http://[fd00::1]:8"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, "http://q:2"),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:2"}, "http://p:1"),
        ({"ALL_PROXY": " http://q:2 "}, "http://q:2"),
    ],
    ids=str,
)
def test_which_variable_counts(environment: dict[str, str], proxy: str | None) -> None:
    found = proxy_of(Url.parse("https://a.example"), environment)
    assert (found and found.url) == proxy


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::]"],
)
def test_every_name_of_this_machine_is_direct(host: str) -> None:
    assert proxy_of(Url.parse(f"https://{host}"), {"ALL_PROXY": "http://p:1"}) is None


def test_a_password_of_a_proxy_is_never_shown() -> None:
    found = proxy_of(Url.parse("https://a.example"), {"ALL_PROXY": "http://me:hidden@p:1"})
    assert "hidden" not in f"{found} {found!r}"
    with pytest.raises(SettingError) as caught:
        proxy_of(Url.parse("https://a.example"), {"ALL_PROXY": "gopher://me:hidden@p:1"})
    assert "hidden" not in f"{caught.value} {caught.value.advice}"
