# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML that is changed in places stays as it was in all others."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt.markup import Element, parse, root_of

ODD = """<?xml version="1.0"?>
<!-- <a> & 'b' -->
<a  x = "1"
    y='&lt;2&gt;' ><b/><c></c><!-- <d/> --> text &amp; <![CDATA[<raw> & ]]>&#233;<?pi ?>
  <n:e xmlns:n="urn:n" n:f=">"/>
</a>
"""


def test_what_is_not_changed_is_written_as_it_was() -> None:
    assert str(parse(ODD)) == ODD


def test_what_is_said_is_read() -> None:
    root = root_of(parse(ODD))
    assert root.attributes == {"x": "1", "y": "<2>"}
    assert root.text.split() == ["text", "&", "<raw>", "&", "é"]
    assert [child.tag for child in root.children()] == ["b", "c", "n:e"]
    assert root.said("n:e", "n:f") == ">"
    assert root.said("missing/deeper", "x") == ""


def test_a_change_is_where_it_was_made() -> None:
    whole = parse("<a>\n  <b x='1'/>\n  <c/>\n</a>\n")
    root = root_of(whole)
    root.find("b").set("y", "\"<'\n")
    root.add(Element("d", None, Element("e", None, "&")), "b")
    root.remove(root.find("c"))
    assert str(whole) == ("<a>\n  <b x='1' y='&quot;&lt;&apos;&#10;'/>\n  <d>\n    <e>&amp;</e>\n  </d>\n</a>\n")
    root.remove(*root.children())
    assert str(whole) == "<a/>\n"


def test_an_empty_element_opens_when_something_comes_in() -> None:
    whole = parse("<a>\n  <b x='1'/>\n</a>")
    root_of(whole).find("b").need("c").text = "1"
    assert str(whole) == "<a>\n  <b x='1'>\n    <c>1</c>\n  </b>\n</a>"


@pytest.mark.parametrize("value", ["", " a ", "<&>'\"", "\t\n\r x", "é€😀", "]]>", "&amp;lt;"])
def test_any_text_comes_back(value: str) -> None:
    element = Element("a", {"x": value}, Element("b", None, value))
    read = ElementTree.fromstring(str(element))
    assert (read.get("x"), read.findtext("b") or "") == (value, value)
    ours = root_of(parse(str(element)))
    assert (ours.get("x"), ours.find("b").text) == (value, value)


def test_what_xml_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'\\x00' cannot stand in XML"):
        str(Element("a", {"x": "\0"}))
    with pytest.raises(ValueError, match="not well-formed XML"):
        parse("<a><b></a>")
