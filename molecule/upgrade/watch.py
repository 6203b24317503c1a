# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the app for its page all the time, and note when it was and whether it came: `watch.py FILE URL`."""

from __future__ import annotations

import sys
import time
import urllib.request

with open(sys.argv[1], "w", buffering=1) as notes:
    while True:
        at = time.monotonic()
        try:
            with urllib.request.urlopen(sys.argv[2], timeout=1) as answer:
                came = answer.read() == b"Here.\n"
        except Exception:  # whatever it was, the page did not come
            came = False
        notes.write(f"{at} {int(came)}\n")
        time.sleep(0.02)
