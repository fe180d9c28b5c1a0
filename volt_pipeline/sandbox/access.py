"""The one access token that the sandbox takes; apart from the server, which takes long to import."""

from __future__ import annotations

import base64
from typing import Any

import orjson


def _segment(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


# Shaped like Volt's tokens, which clients may read (`exp`, permissions) but cannot verify; opens this sandbox only.
TOKEN = ".".join(
    (
        _segment({"alg": "none", "typ": "JWT"}),
        _segment(
            {
                "iss": "volt-sandbox",
                "sub": "api@acmebrick.example",
                "exp": 4_102_444_800,
                "permissions": [
                    f"{verb}:{what}" for what in ("messages", "waves", "contacts") for verb in ("read", "write")
                ],
            }
        ),
        "c2FuZGJveA",
    )
)
