"""Fetching goes on from where it was, gives up in one line, and never takes a piece for the whole."""

from __future__ import annotations

import errno
import json
import socket
import urllib.request
from datetime import datetime
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.data.download import https
from candid.data.download.https import fetch
from candid.errors import CandidError
from tests.data.loopback import Site, http_opener, serving

BODY = bytes(range(256)) * 4000


@pytest.fixture
def part(tmp_path):
    return tmp_path / "parts" / "faces.zip.part"


def get(site, part, **options):
    waits: list[float] = []
    fetch(site.url, part, http_opener(), waits.append, **options)
    assert part.read_bytes() == site.body
    return waits


def test_a_file_comes_whole(part):
    with serving(Site(BODY)) as site:
        assert get(site, part) == []
        assert site.seen == [None]


def test_a_broken_connection_is_resumed_with_growing_waits(part):
    with serving(Site(BODY, cuts=[1000, 500, 0, 70_000])) as site:
        assert get(site, part) == [1, 2, 4, 8]
        assert site.seen == [None, "bytes=1000-", "bytes=1500-", "bytes=1500-", "bytes=71500-"]


def test_the_next_run_goes_on_from_what_the_last_one_left(part):
    with serving(Site(BODY, cuts=[100, 100])) as site:
        with pytest.raises(
            CandidError, match=r"2 times over; 200 bytes are kept in .*faces\.zip\.part; run again"
        ):
            fetch(site.url, part, http_opener(), lambda _: None, attempts=2)
        get(site, part)
        assert site.seen == [None, "bytes=100-", "bytes=200-"]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 5000), max_size=5), st.booleans(), st.sampled_from(['"one"', 'W/"weak"', None])
)
def test_wherever_it_breaks_the_result_is_the_file(tmp_path_factory, cuts, ranges, etag):
    part = tmp_path_factory.mktemp("parts") / "faces.zip.part"
    with serving(Site(BODY[:10_000], cuts=cuts, ranges=ranges, etag=etag)) as site:
        get(site, part)


def test_a_server_without_ranges_is_fetched_from_the_beginning(part):
    with serving(Site(BODY, cuts=[1000], ranges=False)) as site:
        get(site, part)


@pytest.mark.parametrize("site", [Site(BODY, etag=None, cuts=[1000]), Site(BODY, etag='W/"x"', cuts=[1000])])
def test_without_a_version_nothing_is_glued_together(part, site):
    with serving(site):
        get(site, part)
        assert site.seen == [None, None]


def test_a_date_serves_as_a_version(part):
    with serving(Site(BODY, etag=None, modified="Tue, 01 Apr 2025 10:00:00 GMT", cuts=[1000])) as site:
        get(site, part)
        assert site.seen == [None, "bytes=1000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(part):
    with serving(Site(BODY, cuts=[1000])) as site, pytest.raises(CandidError):
        fetch(site.url, part, http_opener(), lambda _: None, attempts=1)
    with serving(Site(BODY[::-1], etag='"two"')) as site:
        get(site, part)


def test_a_part_that_is_whole_already_is_kept(part):
    with serving(Site(BODY)) as site:
        get(site, part)
        assert get(site, part) == []
        assert site.seen == [None, f"bytes={len(BODY)}-"]


def test_a_part_that_is_too_long_is_fetched_anew(part):
    with serving(Site(BODY)) as site:
        get(site, part)
        part.write_bytes(BODY + b"more")
        get(site, part)


def test_an_answer_from_the_wrong_place_is_not_used(part):
    with serving(Site(BODY, cuts=[1000], wrong_start=True)) as site:
        get(site, part)
        assert site.seen == [None, "bytes=1000-", None]


@pytest.mark.parametrize("note", ["", "[]", '{"version": 3}', '{"version": ""}', "{"])
def test_a_damaged_note_means_from_the_beginning(part, note):
    part.parent.mkdir()
    part.write_bytes(b"rubbish")
    part.with_name(part.name + ".json").write_text(note)
    with serving(Site(BODY)) as site:
        get(site, part)


def test_a_busy_server_is_asked_again_when_it_says_so(part):
    with serving(Site(BODY, errors=[503, 429], retry_after="7")) as site:
        assert get(site, part) == [7, 7]
    with serving(Site(BODY, errors=[503], retry_after="86400")) as site:
        assert get(site, part) == [https.LONGEST_WAIT_SECONDS]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_is_not_there_is_not_asked_for_twice(part, status):
    with serving(Site(BODY, errors=[status])) as site:
        with pytest.raises(CandidError, match=f"the server answers {status}"):
            fetch(site.url, part, http_opener(), lambda _: None)
        assert len(site.seen) == 1


def test_nobody_there_is_one_line(part):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/faces.zip"
        with pytest.raises(CandidError, match=r"refused, 3 times over; run again") as caught:
            fetch(url, part, http_opener(), lambda _: None, attempts=3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_nothing_but_https_is_spoken(part, url):
    with pytest.raises(CandidError, match="unknown url type"):
        fetch(url, part, sleep=lambda _: None)
    assert not part.exists()


def test_a_redirect_out_of_https_is_refused(part):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https.HttpsRedirects)
    elsewhere = Site(BODY, redirect="http://127.0.0.1:1/elsewhere")
    with serving(elsewhere), pytest.raises(CandidError, match="redirects to http://127"):
        fetch(elsewhere.url, part, opener, lambda _: None)


def test_a_full_disk_is_not_a_fault_of_the_connection(part, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    ordinary = type(part).open
    monkeypatch.setattr(
        type(part),
        "open",
        lambda path, *mode, **more: Full() if mode == ("wb",) else ordinary(path, *mode, **more),
    )
    with serving(Site(BODY)) as site, pytest.raises(OSError, match="No space") as caught:
        fetch(site.url, part, http_opener(), lambda _: None)
    assert caught.value.errno == errno.ENOSPC


def test_the_note_says_which_version_the_part_is_of(part):
    with serving(Site(BODY)) as site:
        get(site, part)
    assert json.loads(part.with_name("faces.zip.part.json").read_text()) == {"version": '"one"'}


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate for 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2120, 1, 1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + signed.public_bytes(pem))
    return path


def test_https_is_spoken_resumed_and_redirected_with_certificates_checked(part, certificate, monkeypatch):
    with (
        serving(Site(BODY, cuts=[1000]), certificate) as site,
        serving(Site(b"", redirect=site.url), certificate) as door,
    ):
        with pytest.raises(CandidError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(door.url, part, sleep=lambda _: None)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        fetch(door.url, part, sleep=lambda _: None)
        assert part.read_bytes() == BODY
        assert site.seen == [None, "bytes=1000-"]
