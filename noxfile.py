# SPDX-License-Identifier: Apache-2.0
"""Every task of the project, by name: `nox --list`."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests", "docs", "install"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).resolve().parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
JOBS = str(len(os.sched_getaffinity(0)))
WHEEL_INPUTS = (
    "CMakeLists.txt",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "cmake",
    "csrc/CMakeLists.txt",
    "csrc/bindings",
    "csrc/include",
    "csrc/src",
    "src",
    "tools",
)


def install_groups(session: nox.Session, *groups: str) -> None:
    """Install dependency groups of pyproject.toml."""
    session.install(*nox.project.dependency_groups(PYPROJECT, *groups))


def fingerprint(python: str) -> str:
    """Hash what the wheel is made of, so that equal trees build once."""
    digest = hashlib.sha256(python.encode())
    for name in WHEEL_INPUTS:
        top = ROOT / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build_wheel(session: nox.Session) -> Path:
    """Build the release wheel in an isolated environment, as `pip install .` does."""
    version = session.run(
        "python", "-c", "import sys; print(sys.version)", silent=True, log=False
    )
    folder = ROOT / "dist" / fingerprint(str(version))
    if not list(folder.glob("*.whl")):
        shutil.rmtree(folder, ignore_errors=True)
        session.run(
            "python", "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(ROOT)
        )
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(session: nox.Session, extras: str = "") -> Path:
    """Install the release wheel of this tree, in place of any earlier one."""
    wheel = build_wheel(session)
    session.run("python", "-m", "pip", "uninstall", "--yes", "topoalloc", silent=True)
    session.install(f"topoalloc{extras} @ {wheel.as_uri()}")
    return wheel


def build_native(
    session: nox.Session, preset: str, *options: str, targets: Sequence[str] = ("all",)
) -> Path:
    """Configure and build one CMake preset with the Python of the session."""
    install_groups(session, "native")
    folder = ROOT / "build" / preset
    python = Path(session.bin) / "python"
    session.run(
        "cmake",
        "--preset",
        preset,
        "--fresh",
        f"-DPython_EXECUTABLE={python}",
        *options,
    )
    session.run(
        "cmake", "--build", str(folder), "--parallel", JOBS, "--target", *targets
    )
    return folder


def ctest(session: nox.Session, preset: str, **env: str) -> None:
    """Run the C++ tests of a built preset."""
    session.run(
        "ctest", "--preset", preset, "--parallel", JOBS, "--no-tests=error", env=env
    )


def cpp_sources() -> list[str]:
    """Return every C++ file of ours."""
    return sorted(
        str(path.relative_to(ROOT))
        for folder in ("csrc", "benchmarks", "src")
        for suffix in ("*.cpp", "*.hpp", "*.h")
        for path in (ROOT / folder).rglob(suffix)
    )


def run_clang_tidy(session: nox.Session, *options: str) -> None:
    """Run clang-tidy over everything that the dev preset compiles."""
    install_groups(session, "native")
    folder = ROOT / "build" / "tidy"
    session.run(
        "cmake",
        "--preset",
        "dev",
        "--fresh",
        "-B",
        str(folder),
        f"-DPython_EXECUTABLE={Path(session.bin) / 'python'}",
        "-DTOPOALLOC_BUILD_PYTHON=ON",
        "-DTOPOALLOC_BUILD_ORACLE=ON",
        silent=True,
    )
    session.run(
        "run-clang-tidy.py",
        "-quiet",
        "-hide-progress",
        "-p",
        str(folder),
        "-j",
        JOBS,
        *options,
        f"{ROOT}/csrc/.*",
    )


@nox.session
def tests(session: nox.Session) -> None:
    """Run the C++ tests, then pytest against the release wheel."""
    install_groups(session, "test", "milp", "cpsat")
    build = build_native(session, "dev", "-DTOPOALLOC_BUILD_ORACLE=ON")
    ctest(session, "dev")
    install_wheel(session, "[hwloc,cli]")
    session.run(
        "pytest",
        "--ignore=tests/install",
        *session.posargs,
        env={"PYTHONPATH": str(build / "oracle")},
    )


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run pytest against the release wheel of each supported Python."""
    install_groups(session, "test", "milp", "cpsat")
    install_groups(session, "native")
    build = build_native(session, "release", "-DTOPOALLOC_BUILD_ORACLE=ON")
    install_wheel(session, "[hwloc,cli]")
    session.run(
        "pytest",
        "--ignore=tests/install",
        *session.posargs,
        env={"PYTHONPATH": str(build / "oracle")},
    )


@nox.session
def oldest(session: nox.Session) -> None:
    """Test the command with the oldest typer and rich that pyproject.toml allows."""
    install_groups(session, "test")
    install_wheel(session, "[cli]")
    bounds = PYPROJECT["project"]["optional-dependencies"]["cli"]
    session.install(*(bound.replace(">=", "==") for bound in bounds))
    session.run("pytest", "tests/unit/test_cli.py", "tests/unit/test_cli_question.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, stubs, spelling and dependencies."""
    install_groups(session, "lint", "bench", "milp", "cpsat")
    install_wheel(session, "[hwloc,cli]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "tools/check_dependencies.py")
    session.run("codespell")
    session.run("mypy", "src", "tools", "noxfile.py", "tests", "examples", "benchmarks")
    session.run(
        "stubtest", "topoalloc._core", "--allowlist", "tools/stubtest-allowlist.txt"
    )
    session.run("clang-format", "--dry-run", "-Werror", *cpp_sources())
    # The static analyzer takes four fifths of the time and has a session of its own.
    run_clang_tidy(session, "-checks=-clang-analyzer-*")


@nox.session
def analyze(session: nox.Session) -> None:
    """Run clang-tidy with clang's static analyzer."""
    install_groups(session, "lint")
    run_clang_tidy(session, "-checks=-*,clang-analyzer-*")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Lay out C++ and Python as lint wants them."""
    install_groups(session, "lint")
    session.run("ruff", "check", "--select=I", "--fix", ".")
    session.run("ruff", "format", ".")
    session.run("clang-format", "-i", *cpp_sources())


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation with warnings as errors; tests run its examples."""
    install_groups(session, "docs")
    install_wheel(session)
    session.run("sphinx-build", "-W", "--keep-going", "docs", "docs/_build/html")


@nox.session(reuse_venv=False)
def install(session: nox.Session) -> None:
    """Install the wheel into a clean environment and test what arrived."""
    wheel = install_wheel(session)
    session.install("pytest>=8")
    session.chdir(session.create_tmp())
    session.run(
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        "-m",
        "not pyhwloc",
        # The settings of the other tests need what a clean environment lacks.
        f"--confcutdir={ROOT / 'tests' / 'install'}",
        str(ROOT / "tests" / "install"),
        env={"TOPOALLOC_WHEEL": str(wheel)},
    )


@nox.session(python="3.12")
def pyhwloc(session: nox.Session) -> None:
    """Test beside pyhwloc, which brings another hwloc and starts at Python 3.12."""
    install_wheel(session, "[hwloc]")
    install_groups(session, "pyhwloc")
    session.run(
        "pytest",
        "-m",
        "pyhwloc",
        f"--confcutdir={ROOT / 'tests' / 'install'}",
        "tests/install",
    )


@nox.session
def machines(session: nox.Session) -> None:
    """Compare what topoalloc and hwloc read of a folder of XML files."""
    install_wheel(session, "[hwloc]")
    folders = session.posargs or ["tests/machines", "csrc/tests/data"]
    session.run("python", "-m", "tests.machines.compare", *folders)


@nox.session
def asan(session: nox.Session) -> None:
    """Run the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    build_native(session, "asan")
    ctest(session, "asan", ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1")


@nox.session
def tsan(session: nox.Session) -> None:
    """Run the C++ tests under ThreadSanitizer."""
    build_native(session, "tsan")
    ctest(session, "tsan", TSAN_OPTIONS="halt_on_error=1")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Mutate XML files under the sanitizers of asan, then what the face reads."""
    folder = build_native(
        session, "asan", "-DTOPOALLOC_BUILD_FUZZERS=ON", targets=["fuzzers"]
    )
    arguments = session.posargs or ["--seed", "1", "--mutants", "10000"]
    files = sorted(map(str, (ROOT / "csrc" / "tests" / "data").glob("*.xml")))
    session.run(
        str(folder / "csrc" / "fuzz" / "fuzz_hwloc_xml"),
        *arguments,
        *files,
        external=True,
    )
    install_wheel(session, "[kubernetes]")
    session.run("python", "-m", "tests.long.fuzz_documents", *arguments)
    session.run("python", "tests/long/fuzz_selectors.py", *arguments)


@nox.session
def oracle_brute(session: nox.Session) -> None:
    """Compare a million instances with brute force, then batches, gangs and more."""
    folder = build_native(session, "release")
    for program, instances in (
        ("oracle_run", "1000000"),
        ("oracle_batch_run", "100000"),
        ("oracle_gang_run", "100000"),
        ("oracle_rail_run", "20000"),
        ("oracle_cluster_run", "100000"),
        ("oracle_claim_run", "300000"),
    ):
        session.run(
            str(folder / "csrc" / "tests" / program),
            "--threads",
            JOBS,
            *(session.posargs or ["--instances", instances, "--seed", "1"]),
            external=True,
        )


@nox.session
def oracle_milp(session: nox.Session) -> None:
    """Compare ten thousand instances with the integer programme."""
    install_groups(session, "test", "milp")
    install_wheel(session, "[hwloc,cli]")
    session.run("python", "tests/long/milp.py", *session.posargs)


@nox.session
def oracle_cpsat(session: nox.Session) -> None:
    """Compare a thousand cluster problems with the constraint programme."""
    install_groups(session, "cpsat")
    folder = build_native(
        session, "release", "-DTOPOALLOC_BUILD_ORACLE=ON", targets=["_oracle"]
    )
    session.run(
        "python",
        "tests/long/cpsat.py",
        *session.posargs,
        env={"PYTHONPATH": str(folder / "oracle")},
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the rows of docs/benchmarks.md, from C++ and from Python."""
    install_groups(session, "bench", "native")
    folder = build_native(
        session,
        "release",
        "-DTOPOALLOC_BUILD_BENCHMARKS=ON",
        targets=["benchmarks"],
    )
    install_wheel(session, "[hwloc,cli,kubernetes]")
    # Arguments are hwloc XML files to read besides.
    session.run(
        "python",
        "-m",
        "benchmarks.table",
        str(folder / "benchmarks" / "cpp"),
        str(ROOT / "build" / "bench"),
        *session.posargs,
    )


@nox.session
def demo(session: nox.Session) -> None:
    """Install the project with `pip install` and run its main job on this machine."""
    install_wheel(session, "[hwloc,cli]")
    session.run("python", "examples/demo.py", *session.posargs)
