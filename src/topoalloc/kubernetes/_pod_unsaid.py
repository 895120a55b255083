# SPDX-License-Identifier: Apache-2.0
"""What a Pod may ask for and no Gang can say: refused by path, never left out.

Soft wishes (preferred affinity, ScheduleAnyway) decide nothing and are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from topoalloc.kubernetes._objects_values import ObjectError, fail, listed, mapping

__all__ = ["refuse_unsaid", "unsaid"]

_MAX = 10_000  # no limit of the API, which bounds the size of an object
_HARD = "requiredDuringSchedulingIgnoredDuringExecution"


def refuse_unsaid(spec: Mapping[str, Any], path: str, ignore: Collection[str]) -> None:
    """Refuse a pod that wants what no Gang can say, unless its name is in `ignore`.

    Raises
    ------
    ObjectError
        It does; the message begins with the path.
    """
    for name in ("schedulingGates", "resourceClaims"):
        if listed(spec.get(name), f"{path}.{name}", _MAX) and name not in ignore:
            raise unsaid(f"{path}.{name}", name)
    affinity = mapping(spec.get("affinity") or {}, f"{path}.affinity")
    for name in ("podAffinity", "podAntiAffinity"):
        at = f"{path}.affinity.{name}"
        if mapping(affinity.get(name) or {}, at).get(_HARD) and name not in ignore:
            raise unsaid(f"{at}.{_HARD}", name)
    name = "topologySpreadConstraints"
    for item, at in listed(spec.get(name), f"{path}.{name}", _MAX):
        is_soft = mapping(item, at).get("whenUnsatisfiable") == "ScheduleAnyway"
        if not is_soft and name not in ignore:
            raise unsaid(at, name)
    for item, at in listed(spec.get("volumes"), f"{path}.volumes", _MAX):
        for name in ("persistentVolumeClaim", "ephemeral"):
            if name in mapping(item, at) and name not in ignore:
                raise unsaid(f"{at}.{name}", name)
    for item, at in listed(spec.get("containers"), f"{path}.containers", _MAX):
        ports = mapping(item, at).get("ports")
        for port, where in listed(ports, f"{at}.ports", _MAX):
            if mapping(port, where).get("hostPort") and "hostPort" not in ignore:
                raise unsaid(f"{where}.hostPort", "hostPort")


def unsaid(path: str, name: str) -> ObjectError:
    """Return the error of what a Gang has no words for."""
    return fail(
        path, f"there, want none: no Gang says it (ignore=[{name!r}] passes it over)"
    )
