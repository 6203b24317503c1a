# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list of what an image is made of, as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/) in JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from .packages import Package

NAMESPACE = "https://slipway.invalid/small-linux"


def document(
    image: Mapping[str, str], files: Mapping[str, str], packages: Iterable[Package], mirrors: Sequence[str], when: int
) -> dict[str, Any]:
    """The document of an image: its files with their checksums, and each package that something in them comes from.

    ``image`` has name, version, suite and recipe. The same image has the same document: its date is that of its newest part.
    """
    packages = sorted(packages, key=lambda package: package.name)
    whole = {
        "SPDXID": "SPDXRef-image",
        "name": image["name"],
        "versionInfo": image["version"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "comment": "; ".join(f"{name} sha256:{digest}" for name, digest in sorted(files.items())),
    }
    parts = [_part(package, image["suite"], mirrors) for package in packages]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{image['name']}-{image['version']}",
        "documentNamespace": f"{NAMESPACE}/{image['recipe']}",
        "creationInfo": {
            "created": datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: slipway.docker.small_linux"],
        },
        "documentDescribes": ["SPDXRef-image"],
        "packages": [whole, *parts],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-image",
            },
            *(
                {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": part["SPDXID"]}
                for part in parts
            ),
        ],
    }


def _part(package: Package, suite: str, mirrors: Sequence[str]) -> dict[str, Any]:
    qualifiers = f"arch={package.architecture}&distro={suite}"
    purl = f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}?{qualifiers}"
    mirror = mirrors[-1 if package.filename.startswith("pool/updates/") else 0]  # fixed for security
    part = {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{package.name}-{package.architecture}"),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": f"Organization: {package.maintainer.partition(' <')[0]}" if package.maintainer else "NOASSERTION",
        "downloadLocation": f"{mirror.rstrip('/')}/{package.filename}",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
        "sourceInfo": f"built from the source package {package.source} {package.source_version}",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
        ],
    }
    if package.homepage:
        part["homepage"] = package.homepage
    if package.built_using:  # what is linked into it, such as the libraries of a Go program
        part["comment"] = f"Built-Using: {package.built_using}"
    return part
