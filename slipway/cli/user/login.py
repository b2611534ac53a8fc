"""Who works on this machine, for rows that name somebody."""

from __future__ import annotations

import os
from getpass import getuser


def login_name() -> str:
    """The login name; `uid-1234` for a user id that no passwd entry names (in a container)."""
    try:
        return getuser()
    except (KeyError, OSError, ImportError):  # 3.13 raises OSError; Windows has no pwd
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "somebody"
