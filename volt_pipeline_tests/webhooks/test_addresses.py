"""Which URLs may be registered."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from volt_pipeline.webhooks.addresses import AddressRefused, Resolve, check, is_public, normalized, resolve

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


def at(*addresses: str) -> Resolve:
    """A resolver that gives these."""

    def resolved(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolved


def test_a_public_https_address_may_be_registered() -> None:
    assert check("https://hooks.example.com/volt", resolve=at(*PUBLIC)) == "https://hooks.example.com/volt"


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "100.64.0.1",
        "100.127.255.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(AddressRefused, match=r"not public.*VOLT_WEBHOOK_ALLOW_PRIVATE"):
        check("https://hooks.example.com/volt", resolve=at(*PUBLIC, address))  # one such among others suffices


@pytest.mark.parametrize("address", [*PUBLIC, "8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"])
def test_an_address_that_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]"])
def test_this_machine_under_other_names(host: str) -> None:
    with pytest.raises(AddressRefused, match=r"not public|has no address"):
        check(f"https://{host}/volt")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://hooks.example.com/volt", "plain http"),
        ("ftp://hooks.example.com/volt", "no URL"),
        ("hooks.example.com/volt", "no URL"),
        ("https:///volt", "no URL"),
        ("https://hooks.example.com:0/volt", "no URL"),
        ("https://hooks.example.com:99999/volt", "no URL"),
        ("https://hooks.example.com/vo lt", "no URL"),
        ("https://[::1/volt", "no URL"),
        ("https://me:secret@hooks.example.com/volt", "no user, password"),
        ("https://hooks.example.com/volt#here", "no user, password or #fragment"),
    ],
)
def test_what_is_no_address_for_events(url: str, says: str) -> None:
    with pytest.raises(AddressRefused, match=says) as caught:
        check(url, resolve=at(*PUBLIC))
    assert "secret" not in str(caught.value)


def test_a_name_without_an_address() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(AddressRefused, match=r"hooks\.example\.com has no address"):
        check("https://hooks.example.com/volt", resolve=unknown)


def test_the_setting_allows_what_is_meant() -> None:
    assert check("http://127.0.0.1:8030/volt", allow_private=True) == "http://127.0.0.1:8030/volt"
    with pytest.raises(AddressRefused):
        check("ftp://127.0.0.1/volt", allow_private=True)


def test_one_url_in_many_spellings() -> None:
    spellings = [
        "https://Hooks.Example.com/volt",
        "HTTPS://hooks.example.com:443/volt",
        "https://hooks.example.com./volt",
    ]
    assert {normalized(url) for url in spellings} == {"https://hooks.example.com/volt"}
    assert normalized("https://hooks.example.com") == "https://hooks.example.com/"
    assert normalized("https://hooks.example.com:8443/a?b=c") == "https://hooks.example.com:8443/a?b=c"
    assert normalized("https://[2606:2800::1]/a") == "https://[2606:2800::1]/a"


def test_names_are_really_resolved() -> None:
    assert resolve("localhost", 443)
