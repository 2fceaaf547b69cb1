"""The README's code is code, and the names in it are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import headwater
from headwater import AsyncHeadwater, Headwater

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.M | re.S)


def test_blocks_are_code_and_what_they_import_and_call_is_there() -> None:
    with Headwater("http://h", api_key="hw_sk_test") as hw:
        for block in blocks():
            wrapped = "async def block():\n" + "".join(f"    {line}\n" for line in block.splitlines())
            for node in ast.walk(ast.parse(wrapped)):
                if isinstance(node, ast.ImportFrom):
                    module = headwater if node.module == "headwater" else headwater.types
                    assert all(hasattr(module, name.name) for name in node.names)
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Attribute)
                    and isinstance(node.value.value, ast.Name)
                    and node.value.value.id == "hw"
                ):
                    assert hasattr(getattr(hw, node.value.attr), node.attr), ast.unparse(node)
                    assert hasattr(AsyncHeadwater, node.value.attr)
    assert len(blocks()) > 5


def test_every_error_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in headwater.errors.__all__ if f"`{name}`" not in text and name not in text] == []
