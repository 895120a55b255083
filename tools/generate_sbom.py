# SPDX-License-Identifier: Apache-2.0
"""Write the CycloneDX bill of materials of a wheel.

Equal input gives equal bytes: the serial number derives from the version, and there is
no time stamp.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
import uuid
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def python_component(requirement: str, scope: ComponentScope) -> Component:
    """Describe one requirement; its range is no version, so the description has it."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        msg = f"requirement: {requirement!r} has no name, want one like 'numpy>=1.26'"
        raise ValueError(msg)
    purl = PackageURL("pypi", name=match[0].lower())
    return Component(
        name=match[0],
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        scope=scope,
        description=f"required as {requirement}",
    )


def make_bom(version: str, pybind11_version: str) -> Bom:
    """List what the wheel compiles in, what it requires, and what its extras add."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    own = PackageURL("pypi", name=project["name"], version=version)
    root = Component(
        name=project["name"],
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=own.to_string(),
        purl=own,
        licenses=[LicenseExpression(project["license"])],
        description=project["description"],
    )
    compiled = PackageURL("pypi", name="pybind11", version=pybind11_version)
    components = [
        Component(
            name="pybind11",
            version=pybind11_version,
            type=ComponentType.LIBRARY,
            bom_ref=compiled.to_string(),
            purl=compiled,
            scope=ComponentScope.REQUIRED,
            licenses=[LicenseExpression("BSD-3-Clause")],
            description="headers, compiled into topoalloc._core",
        )
    ]
    components += [
        python_component(requirement, ComponentScope.REQUIRED)
        for requirement in project["dependencies"]
    ]
    components += [
        python_component(requirement, ComponentScope.OPTIONAL)
        for extra in project["optional-dependencies"].values()
        for requirement in extra
    ]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, own.to_string()),
        components=components,
    )
    bom.metadata.component = root
    bom.register_dependency(root, components)
    return bom


def render(version: str, pybind11_version: str) -> str:
    """Return the document as JSON text."""
    bom = make_bom(version, pybind11_version)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    return json.dumps(document, indent=2) + "\n"


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="version of topoalloc")
    parser.add_argument("--pybind11", required=True, help="version compiled in")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    text = render(arguments.version, arguments.pybind11)
    arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
