# SPDX-License-Identifier: Apache-2.0
#
# topoalloc::compiler carries the warnings and sanitizers of every target of ours; targets
# of others never get them.
add_library(topoalloc_compiler INTERFACE)
add_library(topoalloc::compiler ALIAS topoalloc_compiler)

target_compile_options(topoalloc_compiler INTERFACE -Wall -Wextra -Wpedantic -Wconversion
                                                    -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees an overlap in every `"text" + std::string` that it inlines (GCC bug 105651).
  target_compile_options(topoalloc_compiler INTERFACE -Wno-restrict)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  # Sets are words, and counting members is an instruction in every server since 2009.
  target_compile_options(topoalloc_compiler INTERFACE -march=x86-64-v2)
endif()
if(TOPOALLOC_WERROR)
  target_compile_options(topoalloc_compiler INTERFACE -Werror)
endif()
if(TOPOALLOC_SANITIZE)
  set(_sanitize "-fsanitize=${TOPOALLOC_SANITIZE}" -fno-sanitize-recover=all
                -fno-omit-frame-pointer)
  target_compile_options(topoalloc_compiler INTERFACE ${_sanitize})
  # The library's own checks of bounds, optionals and iterators.
  target_compile_definitions(topoalloc_compiler INTERFACE _GLIBCXX_ASSERTIONS)
  target_link_options(topoalloc_compiler INTERFACE ${_sanitize})
endif()
