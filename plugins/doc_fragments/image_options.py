# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one image."""

from __future__ import annotations


class ModuleDocFragment:
    """An image; ``_docker/image.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The image's reference, such as V(nginx:1.27), V(registry.example.org/team/app:2) or V(nginx@sha256:...).
    type: str
    required: true
  state:
    description: Whether the engine should have the image. V(absent) takes the reference away, and the image when it was the last.
    type: str
    choices: [present, absent]
    default: present
  pull:
    description:
      - V(missing) pulls an image that the engine does not have.
      - V(always) asks the registry for the digest and pulls when it differs from the one that is here.
      - V(never) makes a missing image an error.
    type: str
    choices: [missing, always, never]
    default: missing
  build:
    description:
      - Build the image on the engine from a folder of the managed host.
      - It is built again when a file in the folder or an option here has changed; the label C(slipway.source) tells.
    type: dict
    suboptions:
      path:
        description: The folder with the Dockerfile. C(.dockerignore) is obeyed.
        type: path
        required: true
      dockerfile:
        description: The Dockerfile's path in the folder.
        type: str
      args:
        description: Build arguments. They can be read from the image's history, so they are no place for secrets.
        type: dict
      labels:
        description: Labels of the image.
        type: dict
      target:
        description: The stage to build.
        type: str
      network:
        description: The network for the build's commands.
        type: str
      platform:
        description: The platform, such as V(linux/arm64).
        type: str
      cache_from:
        description: Images whose layers may be used as a cache.
        type: list
        elements: str
      nocache:
        description: Do not use the cache.
        type: bool
      pull:
        description: Ask the registry for newer base images.
        type: bool
  load_path:
    description: An archive made by C(docker save) on the managed host. It is loaded when its image differs from the one here.
    type: path
  import_path:
    description: A tar archive of a root file system on the managed host. It is imported when the file has changed.
    type: path
  import_changes:
    description: Dockerfile instructions for an import, such as V(CMD ["sh"]).
    type: list
    elements: str
  platform:
    description: The platform to pull, such as V(linux/arm64).
    type: str
  tag:
    description: Further references for the image.
    type: list
    elements: str
    aliases: [tags]
  push:
    description: Push the image and its further references when the registry does not have it yet.
    type: bool
    default: false
  force:
    description: With O(state=absent), remove the image though a stopped container uses it.
    type: bool
    default: false
"""
