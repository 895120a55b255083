# SPDX-License-Identifier: Apache-2.0
"""Pictures of Clusters: each node where it is, who holds what, sums that add up."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import topoalloc as ta
from topoalloc.draw import cluster_svg, cluster_text
from topoalloc.draw._cluster_view import FREE, OUT, ClusterView, shares

SVG = "{http://www.w3.org/2000/svg}"
H100 = ta.Machine.preset("dgx-h100")


def gang(name: str, pods: int, gpus: int = 8, **arguments: Any) -> ta.Gang:
    request = ta.Request(devices={"gpu": gpus})
    return ta.Gang(name, [ta.PodSet("worker", request, pods, **arguments)])


def racks(nodes: int, *, size: int = 4, blocks: int = 2) -> ta.Cluster:
    cluster = ta.Cluster(trees={"network": ["block", "rack"], "nvlink": ["nvl"]})
    cluster.add_nodes(
        [f"n{i:04}" for i in range(nodes)],
        H100,
        domains={
            "block": [f"b{i * blocks // nodes}" for i in range(nodes)],
            "rack": [f"r{i // size:03}" for i in range(nodes)],
            "nvl": [f"d{i * 2 // nodes}" for i in range(nodes)],
        },
    )
    return cluster


@pytest.fixture
def cluster() -> ta.Cluster:
    """Eight nodes in two racks, one without a Domain, two Gangs, a bad GPU, cordons."""
    cluster = racks(8)
    cluster.add_node("login", ta.Machine.from_synthetic("core:4 pu:1"))
    for one in (gang("train", 3), gang("serve", 3, 4)):
        cluster.commit(cluster.place(one))
    cluster.cordon("n0002")
    cluster.cordon("n0007")
    cluster.node("n0006").cordon("gpu2")
    cluster.node("n0006").take(owner="debug", devices=["gpu0"])
    return cluster


def drawn(cluster: ta.Cluster, **arguments: Any) -> ET.Element:
    return ET.fromstring(cluster_svg(cluster, **arguments))


def groups(root: ET.Element, word: str) -> list[ET.Element]:
    return [
        element
        for element in root.iter(f"{SVG}g")
        if word in (element.get("class") or "").split()
    ]


def rects(element: ET.Element) -> Counter[str]:
    return Counter(rect.get("class") or "" for rect in element.findall(f"{SVG}rect"))


def title(element: ET.Element) -> str:
    return element.findtext(f"{SVG}title") or ""


# --- text ---


def test_few_nodes_have_a_line_each(cluster: ta.Cluster) -> None:
    assert cluster_text(cluster) == (
        "Cluster: 9 nodes, 18 of 64 gpus free, 2 cordoned\n"
        "  block b0: 4 nodes, 8 of 32 gpus free, 1 cordoned\n"
        "    rack r000: 4 nodes, 8 of 32 gpus free, 1 cordoned\n"
        "      n0000  BBBBBBBB\n"
        "      n0001  BBBBBBBB\n"
        "      n0002  BBBBBBBB cordoned\n"
        "      n0003  ........\n"
        "  block b1: 4 nodes, 10 of 32 gpus free, 1 cordoned\n"
        "    rack r001: 4 nodes, 10 of 32 gpus free, 1 cordoned\n"
        "      n0004  AAAAAAAA\n"
        "      n0005  AAAA....\n"
        "      n0006  C.x.....\n"
        "      n0007  xxxxxxxx cordoned\n"
        "  login\n"
        "A serve  B train  C (no Gang)  . free  x cordoned or reserved\n"
    )


def test_text_has_the_tree_and_class_asked_for(cluster: ta.Cluster) -> None:
    lines = cluster_text(cluster, tree="nvlink", device_class="pu").splitlines()
    assert lines[0] == "Cluster: 9 nodes, 1348 of 1796 pus free, 2 cordoned"
    assert lines[1] == "  nvl d0: 4 nodes, 672 of 896 pus free, 1 cordoned"
    assert lines[2] == "    n0000  .x224"
    assert lines[4] == "    n0002  xx224 cordoned"
    assert lines[10] == "    n0007  xx224 cordoned"
    assert lines[11] == "  login  ...."


def test_more_nodes_have_a_letter_each() -> None:
    cluster = racks(80, size=18, blocks=1)
    cluster.add_node("login", ta.Machine.from_synthetic("core:4 pu:1"))
    cluster.commit(cluster.place(gang("train", 16, require=[ta.Within("rack")])))
    cluster.commit(cluster.place(gang("serve", 5, 4, require=[ta.Within("rack")])))
    cluster.cordon("n0000")
    cluster.cordon("n0079")
    cluster.node("n0040").cordon("gpu0")
    cluster.node("n0041").take(owner="debug", devices=["gpu0"])
    cluster.node("n0042").take(owner="a", devices=["gpu0"])
    assert cluster_text(cluster) == (
        "Cluster                            "
        "81 nodes, 481 of 640 gpus free, 2 cordoned\n"
        "  block b0                         "
        "80 nodes, 481 of 640 gpus free, 2 cordoned\n"
        "    rack r000  XBBBBBBBBBBBBBBB..  18 nodes, 16 of 144 gpus free, 1 cordoned\n"
        "    rack r001  ..................  18 nodes, 144 of 144 gpus free\n"
        "    rack r002  .....cc...........  18 nodes, 141 of 144 gpus free\n"
        "    rack r003  ..................  18 nodes, 144 of 144 gpus free\n"
        "    rack r004  AAa....x            8 nodes, 36 of 64 gpus free, 1 cordoned\n"
        "  (no Domain)  -                   1 node, 0 of 0 gpus free\n"
        "A serve  B train  C (no Gang)  lower case: partly free  . free  "
        "x cordoned or reserved\n"
        "X cordoned, held  - without gpus\n"
    )


def test_thousands_of_nodes_are_summed_up() -> None:
    cluster = racks(2400, size=10, blocks=4)
    cluster.commit(cluster.place(gang("train", 700, slices=[ta.Slice("rack", 10)])))
    lines = cluster_text(cluster).splitlines()
    # 240 racks are too many lines; the blocks are not.
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["block", "b0", "A" * 24],
        ["block", "b1", "A" * 4 + "." * 20],
        ["block", "b2", "." * 24],
        ["block", "b3", "." * 24],
    ]
    assert len(lines) == 6
    assert lines[-1] == "A train  . free"


def test_many_gangs_share_the_last_mark() -> None:
    cluster = racks(40)
    for i in range(30):
        cluster.commit(cluster.place(gang(f"g{i:02}", 1)))
    text = cluster_text(cluster)
    assert "Z g24" in text
    assert "g25" not in text
    assert "* several, or one of those without a letter" in text


def test_names_do_nothing_to_a_terminal_nor_to_xml() -> None:
    cluster = ta.Cluster(levels=["rack"])
    evil = "\x1b[31m<&\"'\x01"
    cluster.add_node(evil, H100, domains={"rack": evil})
    cluster.commit(cluster.place(ta.Gang(evil, gang("x", 1).podsets)))
    assert "\x1b" not in cluster_text(cluster)
    assert "\x1b" not in cluster_svg(cluster)
    (node,) = groups(drawn(cluster), "Node")
    assert node.get("data-name") == "\ufffd[31m<&\"'\ufffd"


# --- SVG ---


def test_each_node_is_a_cell_with_its_devices(cluster: ta.Cluster) -> None:
    root = drawn(cluster)
    nodes = {node.get("data-name"): node for node in groups(root, "Node")}
    assert [*nodes] == cluster.nodes
    assert rects(nodes["n0000"]) == {"cell": 1, "owner-1": 8}
    assert rects(nodes["n0002"]) == {"cell": 1, "owner-1": 8, "hatch": 1}
    assert rects(nodes["n0005"]) == {"cell": 1, "owner-0": 4, "free": 4}
    assert rects(nodes["n0006"]) == {"cell": 1, "owner-2": 1, "out": 1, "free": 6}
    assert rects(nodes["n0007"]) == {"cell": 1, "out": 8, "hatch": 1}
    assert rects(nodes["login"]) == {"cell": 1}
    cordoned = [node.get("data-name") for node in groups(root, "cordoned")]
    assert cordoned == ["n0002", "n0007"]
    assert title(nodes["n0005"]) == "n0005: 4 of 8 gpus free, serve 4"
    words = [text.text for text in root.findall(f"{SVG}text")]
    assert words == ["serve", "train", "(no Gang)", "free", "out", "cordoned"]


def test_domains_nest_and_hold_their_nodes(cluster: ta.Cluster) -> None:
    root = drawn(cluster)
    found = {title(domain).split(":")[0]: domain for domain in groups(root, "Domain")}
    assert [*found] == ["block b0", "rack r000", "block b1", "rack r001"]
    assert title(found["rack r001"]) == (
        "rack r001: 4 nodes, 10 of 32 gpus free, 1 cordoned, serve 12, (no Gang) 1"
    )
    assert len(groups(found["block b0"], "Node")) == 4
    assert groups(found["block b0"], "depth-2") == [found["rack r000"]]
    identities = [element.get("id") for element in root.iter() if element.get("id")]
    assert len({*identities}) == len(identities)


def inside(inner: ET.Element, outer: ET.Element) -> bool:
    a, b = (
        {key: float(rect.get(key, "0")) for key in ("x", "y", "width", "height")}
        for rect in (inner, outer)
    )
    return (
        a["x"] >= b["x"]
        and a["y"] >= b["y"]
        and a["x"] + a["width"] <= b["x"] + b["width"] + 0.01
        and a["y"] + a["height"] <= b["y"] + b["height"] + 0.01
    )


@pytest.mark.parametrize("nodes", [9, 300, 2500])
def test_boxes_lie_inside_their_parents_and_apart(nodes: int) -> None:
    root = drawn(racks(nodes, size=18))
    frames = {id(root): root.findall(f"{SVG}rect")[0]}
    checked = 0
    for parent in root.iter(f"{SVG}g"):
        frames[id(parent)] = parent.findall(f"{SVG}rect")[0]
    for parent in [root, *root.iter(f"{SVG}g")]:
        children = parent.findall(f"{SVG}g")
        for child in children:
            assert inside(frames[id(child)], frames[id(parent)])
            checked += 1
        places = [
            (frames[id(child)].get("x"), frames[id(child)].get("y"))
            for child in children
        ]
        assert len({*places}) == len(places)
    assert checked > nodes // 18


def test_thousands_of_nodes_are_bars() -> None:
    cluster = racks(2500, size=18)
    cluster.commit(cluster.place(gang("train", 16, require=[ta.Within("rack")])))
    root = drawn(cluster)
    assert groups(root, "Node") == []
    domains = groups(root, "depth-2")
    assert len(domains) == len({(i * 2 // 2500, i // 18) for i in range(2500)})
    (bar,) = (domain for domain in domains if ", train 128" in title(domain))
    assert title(bar).startswith("rack r")
    nodes = int(title(bar).split()[2])
    # Its frame, and the bar: paper, held, free.
    widths = {
        rect.get("class"): float(rect.get("width", "0"))
        for rect in bar.findall(f"{SVG}rect")[1:]
    }
    assert widths["owner-0"] == pytest.approx(widths["cell"] * 16 / nodes, abs=0.01)
    assert sum(widths.values()) == pytest.approx(2 * widths["cell"], abs=0.01)
    assert len(cluster_svg(cluster)) < 100_000


def test_every_owner_has_a_colour_of_its_own() -> None:
    cluster = racks(40)
    for i in range(30):
        cluster.commit(cluster.place(gang(f"g{i:02}", 1)))
    style = re.findall(r"rect\.owner-(\d+) \{ fill: (.*?) \}", cluster_svg(cluster))
    assert len(style) == len({colour for _, colour in style}) == 30


def test_pictures_are_the_same_each_time_and_change_nothing(
    cluster: ta.Cluster,
) -> None:
    before = cluster.to_dict()
    assert cluster_svg(cluster) == cluster_svg(cluster.fork())
    assert cluster_text(cluster) == cluster_text(cluster.fork())
    assert cluster.to_dict() == before
    empty = ta.Cluster(levels=["rack"])
    assert cluster_text(empty) == "Cluster: 0 nodes, 0 of 0 pus free\n"
    ET.fromstring(cluster_svg(empty))


@pytest.mark.parametrize("draw", [cluster_text, cluster_svg])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tree": "power"}, "tree: 'power', want one of network, nvlink"),
        ({"tree": 3}, "tree: 3, want one of network, nvlink"),
        ({"device_class": "fpga"}, "device_class: 'fpga', want one of gpu, nic, "),
        ({"device_class": 3}, "device_class"),
    ],
)
def test_bad_arguments_are_refused(
    draw: Any, arguments: dict[str, Any], message: str, cluster: ta.Cluster
) -> None:
    with pytest.raises(ta.InvalidRequestError, match=f"^{re.escape(message)}"):
        draw(cluster, **arguments)
    with pytest.raises(ta.InvalidRequestError, match=r"^cluster: int, want a Cluster"):
        draw(3)


# --- what both are drawn from ---


def test_view_counts_what_the_nodes_say(cluster: ta.Cluster) -> None:
    view = ClusterView(cluster, None, None)
    free = sum(
        not cluster.describe(name).is_cordoned and device in free_devices(cluster, name)
        for name in cluster.nodes
        for device in gpus(cluster, name)
    )
    assert view.top.counts[FREE] == free == 18
    assert view.top.counts[OUT] == 9
    assert view.top.counts.total() == 64
    for domain in view.top.walk():
        below = sum((child.counts for child in domain.children.values()), Counter())
        below += sum((node.counts() for node in domain.nodes), Counter())
        assert below == domain.counts


def gpus(cluster: ta.Cluster, name: str) -> list[str]:
    machine = cluster.describe(name).machine
    return [device.name for device in machine.devices if device.device_class == "gpu"]


def free_devices(cluster: ta.Cluster, name: str) -> tuple[str, ...]:
    return cluster.node(name).free_devices


@given(st.dictionaries(st.integers(-2, 5), st.integers(0, 50)), st.integers(1, 40))
def test_shares_fill_the_width(counts: dict[int, int], width: int) -> None:
    order = [*range(6), FREE, OUT]
    parts = shares(counts, order, width)
    total = sum(counts.values())
    assert sum(parts) == (width if total else 0)
    for key, part in zip(order, parts, strict=True):
        exact = counts.get(key, 0) * width / total if total else 0
        assert abs(part - exact) < 1
