# SPDX-License-Identifier: Apache-2.0
#
# How the build finds what others wrote. Nothing here needs root: pybind11 comes from the
# Python environment; GoogleTest and Google Benchmark from the system where it has them,
# else as a source archive whose hash is checked and which is compiled in the build folder.
include(FetchContent)

# Sets Python_EXECUTABLE and makes pybind11_add_module available.
macro(topoalloc_find_pybind11)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
  if(NOT pybind11_DIR)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
      OUTPUT_VARIABLE pybind11_DIR
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  set(PYBIND11_FINDPYTHON ON)
  find_package(pybind11 2.13 CONFIG REQUIRED)
endmacro()

# One archive under two addresses: the project's own and a mirror that keeps the same
# bytes, for networks that reach only one of them. SYSTEM stands first: CMake 3.25 takes
# it for a part of URL_HASH where it follows that.
macro(topoalloc_find_gtest)
  set(INSTALL_GTEST OFF)
  set(BUILD_GMOCK OFF)
  FetchContent_Declare(
    googletest
    SYSTEM
    URL https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz
        https://deb.debian.org/debian/pool/main/g/googletest/googletest_1.12.1.orig.tar.gz
    URL_HASH SHA256=81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    FIND_PACKAGE_ARGS 1.12 NAMES GTest)
  FetchContent_MakeAvailable(googletest)
  if(NOT TARGET GTest::gtest_main)
    message(FATAL_ERROR "GoogleTest: found, but without GTest::gtest_main")
  endif()
endmacro()

macro(topoalloc_find_benchmark)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  set(BENCHMARK_ENABLE_WERROR OFF)
  FetchContent_Declare(
    benchmark
    SYSTEM
    URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
        https://deb.debian.org/debian/pool/main/b/benchmark/benchmark_1.7.1.orig.tar.gz
    URL_HASH SHA256=6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    FIND_PACKAGE_ARGS 1.7)
  FetchContent_MakeAvailable(benchmark)
endmacro()
