# SPDX-License-Identifier: Apache-2.0
"""The one JSON text of a document, and its digest.

json and hashlib (with OpenSSL behind it) cost more to import than the rest of the face
together, so this module is imported by those who ask for a digest, when they ask.
"""

from __future__ import annotations

import hashlib
import json

from topoalloc._errors import FormatError

__all__ = ["canonical", "digest_of", "parse_json"]


def canonical(document: object) -> str:
    """Return the one JSON text of a document that digests are made of."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )


def parse_json(content: bytes, name: str) -> object:
    """Read JSON text; what is wrong is a FormatError that begins with the name."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        text = "empty" if not content.strip() else error.msg
        raise FormatError(f"{name}:{error.lineno}: {text}, want JSON") from None
    except UnicodeDecodeError:
        raise FormatError(f"{name}: no UTF-8 text, want JSON") from None
    except RecursionError:
        raise FormatError(f"{name}: nested too deeply, want JSON of it") from None
    except ValueError:
        # The only one left: Python converts no more than so many digits.
        raise FormatError(f"{name}: a number of too many digits, want JSON") from None


def digest_of(document: object) -> str:
    """Return the SHA-256 of a document, as hexadecimal digits."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()
