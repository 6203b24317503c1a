# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML as text that can be changed in places: what is not changed is written byte for byte as it was read. Pure.

ElementTree would rename the prefixes of others' metadata and lose their comments; libvirt keeps both, and so do we.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from typing import Any

TOKEN = re.compile(
    r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>"
    r"|</[^\s>]+\s*>"
    r"|<(?P<tag>[^\s/>!?]+)(?P<attributes>(?:\s+[^\s=>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(?P<empty>/?)>",
    re.DOTALL,
)
ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.DOTALL)
REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|(\w+));")
NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
ASIDE = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;", "\r": "&#13;"}
# What a parser would make a space of in an attribute.
BLANKS = {"\n": "&#10;", "\t": "&#9;"}
# https://www.w3.org/TR/xml/#charsets
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Element:
    """One element: its attributes, and its parts in order: elements, and text as it is written."""

    def __init__(self, tag: str, attributes: Mapping[str, Any] | None = None, *parts: Element | str) -> None:
        self.tag = tag
        self.attributes = {name: str(value) for name, value in (attributes or {}).items()}
        self.parts: list[Element | str] = [escape(part) if isinstance(part, str) else part for part in parts]
        self.depth = 0
        # The tags as they were read; None once they no longer say what is.
        self.opening: str | None = None
        self.closing = f"</{tag}>"

    def __str__(self) -> str:
        opening = self.opening
        if opening is None or (self.parts and opening.endswith("/>")):
            said = "".join(f" {name}='{escape(value, BLANKS)}'" for name, value in self.attributes.items())
            opening = f"<{self.tag}{said}>" if self.parts else f"<{self.tag}{said}/>"
        return f"{opening}{''.join(map(str, self.parts))}{'' if opening.endswith('/>') else self.closing}"

    @property
    def text(self) -> str:
        """What it says in plain text, without what its elements say."""
        raw = ASIDE.sub("", "".join(part for part in self.parts if isinstance(part, str)))
        pieces = CDATA.split(raw)
        return "".join(piece if index % 2 else unescape(piece) for index, piece in enumerate(pieces))

    @text.setter
    def text(self, value: Any) -> None:
        self.parts = [escape(str(value))] if str(value) else []

    def get(self, name: str, default: str = "") -> str:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Give an attribute this value; None takes it away."""
        before = dict(self.attributes)
        if value is None:
            self.attributes.pop(name, None)
        else:
            self.attributes[name] = str(value)
        if self.attributes != before:
            self.opening = None

    def children(self, *tags: str) -> list[Element]:
        """Return the elements in it, of these tags when any are given."""
        return [part for part in self.parts if isinstance(part, Element) and (not tags or part.tag in tags)]

    def find(self, path: str) -> Element | None:
        """Return the first element at a path such as os/type."""
        here: Element | None = self
        for tag in path.split("/"):
            here = next(iter(here.children(tag)), None) if here is not None else None
        return here

    def said(self, path: str, attribute: str = "") -> str:
        """Return what an element says, or one of its attributes; empty when it is not there."""
        found = self.find(path)
        if found is None:
            return ""
        return found.get(attribute) if attribute else found.text.strip()

    def walk(self) -> Iterator[Element]:
        """Yield this and all within, from the outside."""
        yield self
        for child in self.children():
            yield from child.walk()

    def add(self, child: Element, *after: str) -> Element:
        """Put a new element behind the last one of these tags, else behind all; indented as libvirt does."""
        child.indent(self.depth + 1)
        elements = [index for index, part in enumerate(self.parts) if isinstance(part, Element)]
        behind = [index for index in elements if self.parts[index].tag in after] or elements
        lead = "\n" + "  " * (self.depth + 1)
        if behind:
            self.parts[behind[-1] + 1 : behind[-1] + 1] = [lead, child]
        else:
            self.parts = [*(part for part in self.parts if str(part).strip()), lead, child, "\n" + "  " * self.depth]
        return child

    def remove(self, *children: Element | None) -> None:
        """Take elements away, each with the space before it."""
        for child in children:
            index = next((at for at, part in enumerate(self.parts) if part is child), None)
            if index is None:
                continue
            del self.parts[index]
            before = self.parts[index - 1] if index else None
            if isinstance(before, str) and not before.strip():
                del self.parts[index - 1]
        if not any(str(part).strip() for part in self.parts):
            self.parts = []
            if self.opening and not self.opening.endswith("/>"):
                self.opening = None

    def need(self, tag: str, *after: str) -> Element:
        """Return the element of this tag, made when it is not there."""
        return self.find(tag) or self.add(Element(tag), *after)

    def indent(self, depth: int) -> None:
        """Say how deep it lies, and put what was built without space on lines of its own."""
        self.depth = depth
        inner = self.children()
        for child in inner:
            child.indent(depth + 1)
        if inner and len(inner) == len(self.parts):
            self.parts = [piece for child in inner for piece in ("\n" + "  " * (depth + 1), child)]
            self.parts.append("\n" + "  " * depth)


def parse(text: str) -> Element:
    """Read a text; what is returned has no tag, and holds the root and what lies around it."""
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    whole = Element("")
    whole.opening, whole.closing, whole.depth = "", "", -1
    open_ones, at = [whole], 0
    for token in TOKEN.finditer(text):
        here, raw = open_ones[-1], token[0]
        if text[at : token.start()]:
            here.parts.append(text[at : token.start()])
        at = token.end()
        if token["tag"]:
            element = _read(token)
            element.depth = here.depth + 1
            here.parts.append(element)
            if not token["empty"]:
                open_ones.append(element)
        elif raw.startswith("</"):
            open_ones.pop().closing = raw
        else:
            here.parts.append(raw)
    if text[at:]:
        whole.parts.append(text[at:])
    return whole


def root_of(whole: Element) -> Element:
    """Return the one element of a document."""
    return whole.children()[0]


def _read(token: re.Match) -> Element:
    values = {name: unescape(double or single) for name, double, single in ATTRIBUTE.findall(token["attributes"])}
    element = Element(token["tag"], values)
    element.opening = token[0]
    return element


def escape(text: str, more: Mapping[str, str] | None = None) -> str:
    """Write a text so that it can stand in XML; what XML cannot hold is refused."""
    bad = FORBIDDEN.search(text)
    if bad:
        raise ValueError(f"the character {bad[0]!r} cannot stand in XML; leave it out")
    table = {**ESCAPES, **(more or {})}
    return "".join(table.get(letter, letter) for letter in text)


def unescape(text: str) -> str:
    """Return what was meant by a text in XML."""

    def meant(match: re.Match) -> str:
        if match[1] or match[2]:
            return chr(int(match[1], 16) if match[1] else int(match[2]))
        return NAMED.get(match[3], match[0])

    return REFERENCE.sub(meant, text)
