# SPDX-License-Identifier: Apache-2.0
#
# What the wheel holds besides the modules: the C++ headers, and a CycloneDX bill of
# materials where PEP 770 wants it.
install(DIRECTORY csrc/include/topoalloc DESTINATION topoalloc/include)

set(_sbom "${CMAKE_CURRENT_BINARY_DIR}/topoalloc.cdx.json")
add_custom_command(
  OUTPUT "${_sbom}"
  COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_SOURCE_DIR}/tools/generate_sbom.py"
          --version "${SKBUILD_PROJECT_VERSION_FULL}" --pybind11 "${pybind11_VERSION}"
          --output "${_sbom}"
  DEPENDS tools/generate_sbom.py pyproject.toml
  VERBATIM)
add_custom_target(topoalloc_sbom ALL DEPENDS "${_sbom}")
install(FILES "${_sbom}" DESTINATION "${SKBUILD_METADATA_DIR}/sboms")
