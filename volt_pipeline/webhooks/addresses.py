"""Which addresses may be registered as webhooks: https, and a host whose every address is public.

A mistyped or internal address would have Volt post people's texts to whoever answers there, and in the clear.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from volt_pipeline.errors import ExplainedError

Resolve = Callable[[str, int], Sequence[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TELLING = "set VOLT_WEBHOOK_ALLOW_PRIVATE=true where that is what you want, as with the sandbox"


class AddressRefused(ExplainedError):
    """A URL that is not to be registered; the message says why."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError when it has none."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def normalized(url: str) -> str:
    """One spelling of a URL, by which two registrations are the same."""
    parts = _split(url)
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    host = str(parts.hostname).rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def check(url: str, *, allow_private: bool = False, resolve: Resolve = resolve) -> str:
    """The URL in its one spelling, if Volt may be told to post there. Raises AddressRefused otherwise."""
    parts = _split(url)
    if allow_private:
        return normalized(url)
    if parts.scheme != "https":
        raise AddressRefused(f"{url} is plain http: events hold texts, so it must be https:// ({_TELLING}).")
    try:
        addresses = resolve(str(parts.hostname), parts.port or 443)
    except OSError:
        addresses = []
    if not addresses:
        raise AddressRefused(f"{parts.hostname} has no address, so Volt could not post there: check the name.")
    for address in addresses:
        if not is_public(address):
            raise AddressRefused(
                f"{parts.hostname} has the address {address}, which is not public: Volt cannot reach it, or would "
                f"reach somebody else. Name a public host, or {_TELLING}."
            )
    return normalized(url)


def is_public(address: str) -> bool:
    """Whether anyone on the internet would reach the same host by it: no private, loopback, link-local, shared, …

    An IPv6 address that carries an IPv4 address leads where that one leads.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            carried = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if carried is not None:
            found = carried
        elif found.is_site_local or int(found) >> 32 == 0:  # ::a.b.c.d, an old form of an IPv4 address
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_usable = parts.port is None or parts.port > 0
    except ValueError:
        raise AddressRefused(f"{url!r} is no URL; write it like https://hooks.example.com/volt.") from None
    odd = any(character.isspace() or not character.isprintable() for character in url)
    if odd or parts.scheme not in ("https", "http") or not parts.hostname or not port_is_usable:
        raise AddressRefused(f"{url!r} is no URL; write it like https://hooks.example.com/volt.")
    if parts.username is not None or parts.fragment:
        raise AddressRefused("A webhook's URL holds no user, password or #fragment; leave them out.")
    return parts
