# SPDX-License-Identifier: Apache-2.0
"""The kubelet's gRPC services for DRA drivers, as k8s.io/kubelet publishes them.

`pluginregistration.Registration` and `k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin`. The
messages are built from the tables below: no generated file, and grpcio-tools is not
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PLUGIN_TYPE = "DRAPlugin"
SERVICE_VERSION = "v1.DRAPlugin"
DRA = "k8s.io.kubelet.pkg.apis.dra.v1"
REGISTRATION = "pluginregistration"

# By message: the fields, each with its number; "*" is a list, "?" may be left out,
# "{}" maps texts to messages.
MESSAGES = {
    REGISTRATION: {
        "InfoRequest": {},
        "PluginInfo": {
            "type": ("string", 1),
            "name": ("string", 2),
            "endpoint": ("string", 3),
            "supported_versions": ("*string", 4),
        },
        "RegistrationStatus": {
            "plugin_registered": ("bool", 1),
            "error": ("string", 2),
        },
        "RegistrationStatusResponse": {},
    },
    DRA: {
        "Claim": {
            "namespace": ("string", 1),
            "uid": ("string", 2),
            "name": ("string", 3),
        },
        "Device": {
            "request_names": ("*string", 1),
            "pool_name": ("string", 2),
            "device_name": ("string", 3),
            "cdi_device_ids": ("*string", 4),
            "share_id": ("?string", 5),
        },
        "NodePrepareResourceResponse": {
            "devices": ("*Device", 1),
            "error": ("string", 2),
        },
        "NodeUnprepareResourceResponse": {"error": ("string", 1)},
        "NodePrepareResourcesRequest": {"claims": ("*Claim", 1)},
        "NodePrepareResourcesResponse": {
            "claims": ("{}NodePrepareResourceResponse", 1)
        },
        "NodeUnprepareResourcesRequest": {"claims": ("*Claim", 1)},
        "NodeUnprepareResourcesResponse": {
            "claims": ("{}NodeUnprepareResourceResponse", 1)
        },
    },
}
# By service: the calls, each with its request and its response.
SERVICES = {
    f"{REGISTRATION}.Registration": {
        "GetInfo": ("InfoRequest", "PluginInfo"),
        "NotifyRegistrationStatus": (
            "RegistrationStatus",
            "RegistrationStatusResponse",
        ),
    },
    f"{DRA}.DRAPlugin": {
        "NodePrepareResources": (
            "NodePrepareResourcesRequest",
            "NodePrepareResourcesResponse",
        ),
        "NodeUnprepareResources": (
            "NodeUnprepareResourcesRequest",
            "NodeUnprepareResourcesResponse",
        ),
    },
}

_Field = descriptor_pb2.FieldDescriptorProto


def _add_field(
    message: descriptor_pb2.DescriptorProto,
    package: str,
    name: str,
    kind: str,
    number: int,
) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry = "".join(part.title() for part in name.split("_")) + "Entry"
        nested = message.nested_type.add(name=entry)
        nested.options.map_entry = True
        _add_field(nested, package, "key", "string", 1)
        _add_field(nested, package, "value", kind[2:], 2)
        field.label = _Field.LABEL_REPEATED
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{message.name}.{entry}"
        return
    if kind.startswith("*"):
        field.label = _Field.LABEL_REPEATED
    if kind.startswith("?"):
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    kind = kind.lstrip("*?")
    if kind in {"string", "bool"}:
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    found: dict[str, Any] = {}
    for package, messages in MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3"
        )
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field, (kind, number) in fields.items():
                _add_field(message, package, field, kind, number)
        pool.Add(file)
        for name in messages:
            descriptor = pool.FindMessageTypeByName(f"{package}.{name}")
            found[name] = message_factory.GetMessageClass(descriptor)
    return found


CLASSES = _classes()
"""Message classes, by name."""


def handler_of(service: str, calls: Mapping[str, Callable[[Any, Any], Any]]) -> Any:
    """Return what serves a service, from the function of each call."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            calls[name],
            request_deserializer=CLASSES[request].FromString,
            response_serializer=CLASSES[response].SerializeToString,
        )
        for name, (request, response) in SERVICES[service].items()
    }
    return grpc.method_handlers_generic_handler(service, handlers)


def caller_of(channel: Any, service: str) -> dict[str, Callable[..., Any]]:
    """Return the calls of a service, as a client makes them."""
    return {
        name: channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=CLASSES[request].SerializeToString,
            response_deserializer=CLASSES[response].FromString,
        )
        for name, (request, response) in SERVICES[service].items()
    }
