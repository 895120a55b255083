# SPDX-License-Identifier: Apache-2.0
"""Settings that hold for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# derandomize: a change is red or green by what it says, never by the day. The long
# profile looks for what the gate's examples miss.
settings.register_profile(
    "gate",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", parent=settings.get_profile("gate"), derandomize=False, max_examples=20_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the top folder of the sources that the tests belong to."""
    return ROOT
