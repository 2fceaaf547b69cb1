"""Writes the types and the resources of the SDK from the API's OpenAPI document.

    python scripts/generate.py            writes src/headwater/types and src/headwater/resources
    python scripts/generate.py --check    fails if what is there is not what would be written

Needs nothing but Python. Never edits what it has not written itself: the two folders are its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from openapi_resources import resources
from openapi_schemas import Document
from openapi_types import types

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT.parent.parent / "docs" / "openapi.json"
PACKAGE = ROOT / "src" / "headwater"


def written(document: Document) -> dict[Path, str]:
    """Every file that is generated, with its text."""
    files = {PACKAGE / "types" / name: text for name, text in types(document).items()}
    files.update({PACKAGE / "resources" / name: text for name, text in resources(document).items()})
    return files


def main() -> int:
    """Writes, or checks."""
    parser = argparse.ArgumentParser(description="Writes the SDK's types and resources from the OpenAPI document.")
    parser.add_argument("--check", action="store_true", help="fail where the files differ, and write nothing")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the OpenAPI document")
    options = parser.parse_args()
    files = written(Document(json.loads(options.document.read_text(encoding="utf-8"))))
    there = {path for folder in ("types", "resources") for path in (PACKAGE / folder).glob("*.py")}
    stale = sorted(path for path in files if not path.exists() or path.read_text(encoding="utf-8") != files[path])
    stale += sorted(there - set(files))
    if options.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the document says: run scripts/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for path in there - set(files):
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(files)} files, {len(stale)} of them changed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
