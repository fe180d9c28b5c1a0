"""What the verifier lets through: exactly what a pinned key signed, and 0 of 10,000 changed requests."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.webhooks.keys import Keys, fingerprint
from volt_pipeline.webhooks.signature import Verifier

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
BODY = '{"payload": {"event_type": "message.received", "text": "Grüße"}}'.encode()
HEADER = "x-respond-flow-signature"
Headers = dict[str, str]


@pytest.fixture(scope="module")
def ours() -> Signer:
    return Signer.create()


@pytest.fixture(scope="module")
def theirs() -> Signer:
    """Someone else's keys."""
    return Signer.create()


def keys_of(*signers: Signer) -> Keys:
    rsa_keys = [signer.rsa_key.public_key() for signer in signers]
    ed25519_keys = [signer.ed25519_key.public_key() for signer in signers]
    return Keys([(fingerprint(key), key) for key in rsa_keys], [(fingerprint(key), key) for key in ed25519_keys])


def verifier(*signers: Signer, **settings: str) -> Verifier:
    return Verifier(keys_of(*signers), clock=lambda: NOW, **settings)  # type: ignore[arg-type]


def by_rsa(signer: Signer, body: bytes = BODY) -> Headers:
    return _lower(Signer(signer.rsa_key, signer.ed25519_key, "rsa").headers(body, "", NOW))


def by_ed25519(signer: Signer, body: bytes = BODY, identity: str = "msg_1", at: datetime = NOW) -> Headers:
    return _lower(Signer(signer.rsa_key, signer.ed25519_key, "ed25519").headers(body, identity, at))


def _lower(headers: Mapping[str, str]) -> Headers:
    return {name.lower(): value for name, value in headers.items()}


def test_what_was_signed_is_let_through(ours: Signer) -> None:
    event = verifier(ours).verified(by_rsa(ours), BODY)
    assert event is not None
    assert (event.scheme, event.body, event.sent_at) == ("rsa", BODY, None)
    assert event.key.startswith("sha256:")
    assert event.signed_by == fingerprint(ours.rsa_key.public_key())
    event = verifier(ours).verified(by_ed25519(ours), BODY)
    assert event is not None
    assert (event.scheme, event.key, event.sent_at) == ("ed25519", "id:msg_1", NOW)


def test_two_keys_serve_while_one_is_rotated(ours: Signer, theirs: Signer) -> None:
    for signer in (ours, theirs):
        for headers in (by_rsa(signer), by_ed25519(signer)):
            assert verifier(ours, theirs).verified(headers, BODY)
    assert verifier(ours).verified(by_rsa(theirs), BODY) is None
    both = by_ed25519(ours)
    both["webhook-signature"] = f"{by_ed25519(theirs)['webhook-signature']} {both['webhook-signature']}"
    assert verifier(ours).verified(both, BODY)


def test_nothing_is_let_through_without_a_key_of_that_kind(ours: Signer) -> None:
    keys = keys_of(ours)
    assert Verifier(Keys(rsa=keys.rsa), clock=lambda: NOW).verified(by_ed25519(ours), BODY) is None
    assert Verifier(Keys(ed25519=keys.ed25519), clock=lambda: NOW).verified(by_rsa(ours), BODY) is None
    assert Verifier(Keys(), clock=lambda: NOW).verified({**by_rsa(ours), **by_ed25519(ours)}, BODY) is None


@pytest.mark.parametrize("seconds", [-301, 301, -86400, 86400 * 365])
def test_a_time_outside_the_tolerance_is_refused(ours: Signer, seconds: int) -> None:
    assert verifier(ours).verified(by_ed25519(ours, at=NOW + timedelta(seconds=seconds)), BODY) is None
    edge = timedelta(seconds=300 if seconds > 0 else -300)
    assert verifier(ours).verified(by_ed25519(ours, at=NOW + edge), BODY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(ours: Signer, name: str) -> None:
    headers = by_ed25519(ours)
    del headers[name]
    assert verifier(ours).verified(headers, BODY) is None
    assert verifier(ours).verified({**headers, name: ""}, BODY) is None


def test_an_id_cannot_eat_what_comes_after_it(ours: Signer) -> None:
    """`a.1772625600` and the time: the same signed bytes must not be read as another id, time or body."""
    seconds = str(int(NOW.timestamp()))
    body = f"{seconds}.{{}}".encode()
    signed = by_ed25519(ours, body=body, identity="a")
    moved = {**signed, "webhook-id": f"a.{seconds}"}
    assert verifier(ours).verified(signed, body)
    assert verifier(ours).verified(moved, b"{}") is None


HASHES: dict[str, Callable[[], HashAlgorithm]] = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512, "sha1": SHA1}
SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    "hex": lambda raw: raw.hex(),
}


@pytest.mark.parametrize("encoding", SPELLINGS)
@pytest.mark.parametrize("padding_name", ["pkcs1v15", "pss"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512", "sha1"])
def test_the_settings_for_what_volt_does_not_write_down(
    ours: Signer, hash_name: str, padding_name: str, encoding: str
) -> None:
    digest = HASHES[hash_name]()
    scheme = padding.PKCS1v15() if padding_name == "pkcs1v15" else padding.PSS(padding.MGF1(digest), 20)
    given = {HEADER: SPELLINGS[encoding](ours.rsa_key.sign(BODY, scheme, digest))}
    right = {"hash_name": hash_name, "padding_name": padding_name, "encoding": encoding}
    assert verifier(ours, **right).verified(given, BODY)
    usual = {"hash_name": "sha256", "padding_name": "pkcs1v15", "encoding": "base64"}
    if right != usual:  # and a request cannot choose them
        assert verifier(ours).verified(given, BODY) is None


Request = tuple[Headers, bytes]


def confused(ours: Signer, theirs: Signer) -> list[Request]:
    """Requests that try another algorithm, key or form than the one that is pinned."""
    good, other = by_rsa(ours), by_ed25519(ours)
    mac = HMAC(ours.public("rsa"), SHA256())  # the public key taken for a shared secret
    mac.update(BODY)
    shared = base64.b64encode(mac.finalize()).decode()
    blanks = [base64.b64encode(blank).decode() for blank in (b"\0", b"\0" * 64, b"\0" * 256, b"\1" + b"\0" * 255)]
    sha1 = base64.b64encode(ours.rsa_key.sign(BODY, padding.PKCS1v15(), SHA1())).decode()
    pss = base64.b64encode(ours.rsa_key.sign(BODY, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())).decode()
    raw = other["webhook-signature"].removeprefix("v1a,")
    return [
        ({HEADER: shared}, BODY),
        ({**other, "webhook-signature": f"v1,{shared}"}, BODY),
        ({**other, "webhook-signature": f"v1a,{shared}"}, BODY),
        *(({HEADER: blank}, BODY) for blank in blanks),
        *(({**other, "webhook-signature": f"v1a,{blank}"}, BODY) for blank in blanks),
        ({HEADER: sha1}, BODY),
        ({HEADER: pss}, BODY),
        ({HEADER: raw}, BODY),
        ({**other, "webhook-signature": f"v1a,{good[HEADER]}"}, BODY),
        ({**other, "webhook-signature": raw}, BODY),
        ({**other, "webhook-signature": f"v1,{raw}"}, BODY),
        ({**other, "webhook-signature": f"V1A,{raw}"}, BODY),
        ({HEADER: f"none,{good[HEADER]}"}, BODY),
        ({HEADER: good[HEADER].rstrip("=")}, BODY),
        ({HEADER: good[HEADER] + "="}, BODY),
        ({HEADER: ""}, BODY),
        ({HEADER: "none"}, BODY),
        (by_rsa(theirs), BODY),
        (by_ed25519(theirs), BODY),
        ({**by_ed25519(theirs), **by_rsa(theirs)}, BODY),
        (good, b""),
        (other, b""),
    ]


def _flipped(text: str, random: Random) -> str:
    """Another text of printable ASCII, one bit away."""
    while True:
        at, bit = random.randrange(len(text)), 1 << random.randrange(7)
        changed = chr(ord(text[at]) ^ bit)
        if "!" <= changed <= "~":
            return text[:at] + changed + text[at + 1 :]


def _flipped_bytes(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << random.randrange(8))]) + body[at + 1 :]


def mutations(ours: Signer, theirs: Signer, random: Random) -> Iterator[Request]:
    """Requests that were good, each changed in one way; without end."""
    good, other = by_rsa(ours), by_ed25519(ours)
    strange = confused(ours, theirs)
    while True:
        kind = random.randrange(8)
        if kind == 0:
            yield random.choice([good, other]), _flipped_bytes(BODY, random)
        elif kind == 1:
            yield {HEADER: _flipped(good[HEADER], random)}, BODY
        elif kind in (2, 3, 4):
            name = ("webhook-signature", "webhook-timestamp", "webhook-id")[kind - 2]
            yield {**other, name: _flipped(other[name], random)}, BODY
        elif kind == 5:
            cut = random.randrange(len(BODY))
            changed = random.choice([BODY[:cut], BODY + BODY[cut:], b" " + BODY, BODY + b"\n"])
            yield random.choice([good, other]), changed
        elif kind == 6:
            late = timedelta(seconds=random.choice([-1, 1]) * random.randrange(301, 10**7))
            yield by_ed25519(ours, at=NOW + late), BODY
        else:
            yield random.choice(strange)


def test_of_ten_thousand_changed_requests_none_is_let_through(ours: Signer, theirs: Signer) -> None:
    good = verifier(ours)
    right = ((by_rsa(ours), BODY), (by_ed25519(ours), BODY))
    for headers, body in islice(mutations(ours, theirs, Random(5)), 10_000):
        assert (headers, body) not in right
        assert good.verified(headers, body) is None, (headers, body)
    assert all(good.verified(headers, body) for headers, body in right)


def test_a_key_of_another_size_is_no_trouble(ours: Signer) -> None:
    large = rsa.generate_private_key(65537, 3072)
    given = {HEADER: base64.b64encode(large.sign(BODY, padding.PKCS1v15(), SHA256())).decode()}
    assert verifier(ours).verified(given, BODY) is None
    mark = fingerprint(large.public_key())
    assert Verifier(Keys(rsa=[(mark, large.public_key())])).verified(given, BODY)
