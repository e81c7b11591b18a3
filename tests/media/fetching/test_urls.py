"""URLs are read as browsers read them, and go over the wire byte for byte."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui.errors import UrlError
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.fetching.urls import browser_url, redirect_url, refresh_url, request_target, secure_url
from tests.support.fuzzing import fuzz

HOST = "https://files.example"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (f"{HOST}/a b.png", f"{HOST}/a%20b.png"),
        (f"{HOST}/a.png\n", f"{HOST}/a.png"),
        (f" \t{HOST}/a.png\r\n ", f"{HOST}/a.png"),
        (f"{HOST}/a\n.png?x=\t1", f"{HOST}/a.png?x=1"),
        (f"{HOST}/狐.png?q=狐 é", f"{HOST}/%E7%8B%90.png?q=%E7%8B%90%20%C3%A9"),
        (f'{HOST}/"<`>.png', f"{HOST}/%22%3C%60%3E.png"),
        (f"{HOST}/a\\b?c\\d", f"{HOST}/a/b?c%5Cd"),
        (f"{HOST}\\@127.0.0.1/", f"{HOST}/@127.0.0.1/"),
        ("https://ＦＩＬＥＳ。ｅｘａｍｐｌｅ:8443/a", "https://files.example:8443/a"),
        ("https://f%69les.example/%69", "https://files.example/%69"),
        ("https://b%C3%BCcher.a_b.example/", "https://xn--bcher-kva.a_b.example/"),
        ("https://faß.😀.example/a", "https://xn--fa-hia.xn--e28h.example/a"),
        ("https:\\\\files.example\\a", f"{HOST}/a"),
        ("https:files.example/a", f"{HOST}/a"),
        (f"{HOST}?sig=%7E%2D", f"{HOST}?sig=%7E%2D"),
        (f"{HOST}/a%7Eb%2D.png?sig=%7E%2D", f"{HOST}/a%7Eb%2D.png?sig=%7E%2D"),
        (f"{HOST}/%e7%8b%90.png", f"{HOST}/%e7%8b%90.png"),
        (f"{HOST}/100%.png?50%&%zz", f"{HOST}/100%.png?50%&%zz"),
        (f"{HOST}/a/../b//c/./d?x=../y", f"{HOST}/a/../b//c/./d?x=../y"),
        (f"{HOST}/[a]|{{b}}^'()*", f"{HOST}/[a]|{{b}}^'()*"),
    ],
)
def test_what_a_browser_accepts_is_accepted_and_nothing_else_changes(text: str, url: str) -> None:
    """Hosts that sign their URLs compare them byte for byte."""
    assert browser_url(text) == url
    UrlGuard(resolve=lambda host, port, *_: [(2, 1, 6, "", ("93.184.216.34", port))]).ensure_allowed(browser_url(text))


@pytest.mark.parametrize(
    "text",
    [
        "https://files.exa mple/a",
        "https://me@files.example/",
        "https://\x00/",
        "not a URL",
        "",
        "//a/b",
        "https://x%2fy.example/",
        "https://%ff.example/",
        "https://１２７。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://①⑥⑨.254.169.254/",
        "https://ｌｏｃａｌｈｏｓｔ/",
        "https://a。internal/",
    ],
)
def test_what_no_browser_accepts_stays_refused(text: str) -> None:
    """Reading URLs kindly must not open a way around the guard."""
    with pytest.raises(UrlError):
        UrlGuard(resolve=lambda *_: []).ensure_allowed(browser_url(text))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (HOST, "/"),
        (f"{HOST}?a=b", "/?a=b"),
        (f"{HOST}/a%7e.png?sig=%2d#part", "/a%7e.png?sig=%2d"),
        (f"{HOST}/a/../b", "/a/../b"),
    ],
)
def test_the_target_of_a_request_is_the_url_behind_its_host(url: str, target: str) -> None:
    """Another spelling of the same path has another signature."""
    assert request_target(url) == target


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://other.example/a%7e.png?sig=%2D", "https://other.example/a%7e.png?sig=%2D"),
        ("//other.example/x", "https://other.example/x"),
        ("\\\\other.example\\x", "https://other.example/x"),
        ("/x y.png", f"{HOST}/x%20y.png"),
        ("/%e7%8b%90.png?sig=%7E", f"{HOST}/%e7%8b%90.png?sig=%7E"),
        ("/狐.png".encode().decode("latin-1"), f"{HOST}/%E7%8B%90.png"),
        ("/\xe9.png", f"{HOST}/%E9.png"),
        ("next.png?x=1", f"{HOST}/dir/next.png?x=1"),
        ("../up.png", f"{HOST}/up.png"),
        ("?only=query", f"{HOST}/dir/old.png?only=query"),
        (" /trimmed\t", f"{HOST}/trimmed"),
        ("https:next.png", f"{HOST}/dir/next.png"),
        ("https:/x", f"{HOST}/x"),
        ("https:\\\\other.example\\x", "https://other.example/x"),
        ("///other.example/x", "https://other.example/x"),
        ("/\t/other.example/x", "https://other.example/x"),
        ("https://狐。example/x".encode().decode("latin-1"), "https://xn--e5x.example/x"),
    ],
)
def test_a_redirect_leads_where_a_browser_would_go(location: str, url: str) -> None:
    """Hosts write raw UTF-8 and spaces into it."""
    assert redirect_url(f"{HOST}/dir/old.png?sig=1#part", location) == url


@pytest.mark.parametrize(
    ("header", "page", "url"),
    [
        ("0; url=/a.png?b=%7E", "", f"{HOST}/a.png?b=%7E"),
        ("5;URL='//other.example/a b'; x", "", "https://other.example/a%20b"),
        ("0,next.png", "", f"{HOST}/dir/next.png"),
        ("", "<html><META content='0; url=a.png?x&amp;y' HTTP-EQUIV=Refresh>", f"{HOST}/dir/a.png?x&y"),
        ("3", "", None),
        ("", "<html><meta name=x content='0;url=/a'><title>refresh</title>", None),
        ("", "<meta http-equiv=refresh " * 9000, None),
    ],
)
def test_a_page_that_refreshes_leads_where_a_browser_would_go(header: str, page: str, url: str | None) -> None:
    """Some hosts hand out files so, after a page that counts downloads."""
    assert refresh_url(f"{HOST}/dir/old.png?sig=1", header, page.encode()) == url


@pytest.mark.parametrize(
    ("plain", "secure"),
    [
        ("http://files.example/a.png?sig=%7E", "https://files.example/a.png?sig=%7E"),
        ("HTTP://files.example:80", "https://files.example"),
        ("http://files.example:8080/a", "http://files.example:8080/a"),
        ("http://user@files.example/a", "http://user@files.example/a"),
        ("http://[2001:db8::1]/a", "http://[2001:db8::1]/a"),
        ("https://files.example:80/a", "https://files.example:80/a"),
    ],
)
def test_a_plain_url_is_fetched_over_tls(plain: str, secure: str) -> None:
    """Browsers load images so; without it a file that was paid for is refused for one letter."""
    assert secure_url(plain) == secure


PARTS = st.sampled_from(
    ["https:", "HTTP:", "http://", "//", "\\\\", "/", "?", "#", "@", ":", ".", "..", "%2e", "%", "%5c", " ", "\t",
     "\x00", "[::1]", "[", "127.0.0.1", "0x7f.1", "other.example", "a", "\xe7\x8b\x90", "\xff", "file:",
     "javascript:", ":443", ":99999", "data:,x", ";", "&", "="]
)  # fmt: skip
LOCATIONS = st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=60) | st.lists(PARTS, max_size=8).map("".join)


@fuzz(200)
@given(st.text(max_size=60), LOCATIONS)
def test_any_location_is_a_clean_url_or_refused(base_path: str, location: str) -> None:
    """Hosts send anything; what comes out is read in one way only."""
    guard = UrlGuard(resolve=lambda *_: [])
    with contextlib.suppress(UrlError, ValueError):
        url = redirect_url(browser_url(f"{HOST}/{base_path}"), location)
        origin = guard.parse(url)
        target = request_target(url)
        assert target.startswith("/")
        assert target.isascii()
        assert not set(target) & set(" \t\r\n\x00#\\")
        assert guard.parse(f"{origin.scheme}://{_netloc(origin.host)}:{origin.port}{target}") == origin


@fuzz(200)
@given(st.text(max_size=80) | st.lists(PARTS, max_size=8).map("".join))
def test_reading_a_url_twice_changes_nothing_more(text: str) -> None:
    """It is stored, shown and fetched in one spelling."""
    assert browser_url(browser_url(text)) == browser_url(text)


def _netloc(host: str) -> str:
    return f"[{host}]" if ":" in host else host
