# SPDX-License-Identifier: Apache-2.0
"""The one JSON text of a document, and its digest.

json and hashlib (with OpenSSL behind it) cost more to import than the rest of the face
together, so this module is imported by those who ask for a digest, when they ask.
"""

from __future__ import annotations

import hashlib
import json

__all__ = ["canonical", "digest_of"]


def canonical(document: object) -> str:
    """Return the one JSON text of a document that digests are made of."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )


def digest_of(document: object) -> str:
    """Return the SHA-256 of a document, as hexadecimal digits."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()
