// SPDX-License-Identifier: Apache-2.0
//
// Devices of an hwloc XML file: which PCI functions are GPUs, NICs and NVMe drives,
// with the OS devices of each function merged into it, the bridges above them, virtual
// functions under their physical one, and GPU links.
//
// A device is known by its PCI function and class, never by an OS device alone: hwloc
// shows one GPU as up to three OS devices, and as none where a backend was not compiled
// in. docs/design/0004-hwloc-xml-reader.md has the rules and their reasons.
#pragma once

#include "machine/hwloc_xml_objects.hpp"

namespace topoalloc::hwloc {

/// Fills bridges, devices and links of a spec whose NUMANodes are there.
/// @throws FormatError
void add_devices(const XmlSource& source, const HwlocXml& xml, MachineSpec& spec);

}  // namespace topoalloc::hwloc
