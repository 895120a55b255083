# SPDX-License-Identifier: Apache-2.0
"""Keep an Inventory current from the events that kubectl prints.

kubectl get resourceslices,deviceclasses,resourceclaims,nodes -A \
        --watch --output-watch-events -o json | python -m examples.scheduler_extender
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import topoalloc as ta
from topoalloc import kubernetes as tk

LOG = logging.getLogger("scheduler-extender")


def documents(chunks: Iterable[str]) -> Iterator[Any]:
    """Go through JSON documents that follow one another in a text."""
    decoder = json.JSONDecoder()
    text = ""
    for chunk in chunks:
        text = (text + chunk).lstrip()
        while text:
            try:
                found, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break  # not all of it is there
            yield found
            text = text[end:].lstrip()
    if text:
        message = f"events: ends amid a document: {text[:40]!r}"
        raise ValueError(message)


def apply(inventory: tk.Inventory, event: Any) -> None:  # noqa: ANN401 - as it comes
    """Let an inventory follow an event; what is wrong is told and left out."""
    kind, item = event.get("type"), event.get("object", event)
    try:
        if kind == "DELETED":
            inventory.remove(item)
        elif kind in {None, "ADDED", "MODIFIED"}:
            inventory.update(item)
        else:
            LOG.warning("event of type %r is left out", kind)
    except ta.TopoallocError as error:
        LOG.warning("left out: %s", error)
