# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Our labels in what libvirt keeps for others, <metadata>: one element in a namespace of ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from .markup import Element

PREFIX = "slipway"


def labels_in(root: Element, namespace: str) -> dict[str, str]:
    """Return our labels in a domain or network."""
    ours = _ours(root, namespace)
    if ours is None:
        return {}
    return {label.get("name"): label.text for label in ours.children() if _local(label) == "label"}


def set_labels(root: Element, namespace: str, labels: Mapping[str, str]) -> None:
    """Make these our labels; what others keep there stays."""
    ours = _ours(root, namespace)
    if ours is None:
        if not labels:
            return
        kind = root.tag if root.tag != "domain" else "machine"
        ours = Element(f"{PREFIX}:{kind}", {f"xmlns:{PREFIX}": namespace})
        root.need("metadata", "name", "uuid", "genid", "title", "description").add(ours)
    prefix = ours.tag.rpartition(":")[0]
    ours.remove(*(label for label in ours.children() if _local(label) == "label"))
    for name, value in sorted(labels.items()):
        ours.add(Element(f"{prefix}:label" if prefix else "label", {"name": name}, value))
    if not ours.children():
        metadata = root.need("metadata")
        metadata.remove(ours)
        if not metadata.children():
            root.remove(metadata)


def _ours(root: Element, namespace: str) -> Element | None:
    metadata = root.find("metadata")
    if metadata is None:
        return None
    for element in metadata.children():
        prefix = element.tag.rpartition(":")[0]
        name = f"xmlns:{prefix}" if prefix else "xmlns"
        if next((one.get(name) for one in (element, metadata, root) if one.get(name)), "") == namespace:
            return element
    return None


def _local(element: Element) -> str:
    return element.tag.rpartition(":")[2]


def labels_xml(labels: Mapping[str, str]) -> str:
    """The labels as the call that sets metadata wants them: it adds prefix and namespace by itself."""
    return str(Element("machine", None, *(Element("label", {"name": name}, labels[name]) for name in sorted(labels))))
