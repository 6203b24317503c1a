# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's own variables, as Ansible has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parents[3] / "roles"


def rendered(role: str, text: str, **more: Any) -> Any:
    """A text with the role's defaults and variables in it, and with more of them."""
    told = {
        name: _trusted(value)
        for path in ("defaults/main.yml", "vars/main.yml")
        for name, value in yaml.safe_load((ROLES / role / path).read_text()).items()
    }
    return Templar(DataLoader(), variables={**told, **more}).template(trust_as_template(text))


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
