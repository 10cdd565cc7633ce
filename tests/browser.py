"""The Chromium that the browser tests drive. Run as a script: exit code 0 if there is one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--disable-component-update"]


def find_chromium() -> str | None:
    """Path of CHROMIUM, an installed Chromium, or Playwright's own; None if there is none."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


if __name__ == "__main__":
    found = find_chromium()
    print(f"browser: {found or 'none'}")
    sys.exit(0 if found else 1)
