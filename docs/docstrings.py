"""The docstrings of the reference: what is said of a parameter or a field begins a list item.

Docstrings name them in prose, `rate: positions a second. names: of the leads.`, which is read well
in an editor and runs together on a page.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Extension, Function


class Docstrings(Extension):  # type: ignore[misc, unused-ignore]
    """Rewrites the docstrings of functions and classes as they are collected."""

    def on_function(self, *, func: Function, **more: Any) -> None:
        names = {parameter.name for parameter in func.parameters}
        _rewrite(func, names - {"self", "cls"})

    def on_class_members(self, *, cls: Class, **more: Any) -> None:
        init = cls.members.get("__init__")
        parameters = init.parameters if isinstance(init, Function) else ()
        _rewrite(cls, set(cls.attributes) | {parameter.name for parameter in parameters} - {"self"})


def _rewrite(thing: Function | Class, names: set[str]) -> None:
    if thing.docstring and names:
        thing.docstring.value = listed(thing.docstring.value, names)


def listed(text: str, names: set[str]) -> str:
    """The text, with a list item for each of the names that is explained as `name: what it is.`"""
    one = "(?:" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + ")"
    item = re.compile(rf"(?:^|(?<=[.:;] ))({one}(?:, {one})*):(?: |$)")
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    ") or not any(map(item.match, paragraph.splitlines())):
            paragraphs.append(paragraph)
            continue
        parts: list[str] = []  # those that begin with "- " are items
        for line in paragraph.splitlines():
            begins = not parts or (parts[-1].rstrip().endswith(".") and line[:1].isupper())
            pieces = item.split(line)  # text, names, text, names, text
            if pieces[0]:
                if begins:
                    parts.append(pieces[0])
                else:
                    parts[-1] += f" {pieces[0]}"
            for named, what in zip(pieces[1::2], pieces[2::2], strict=True):
                shown = ", ".join(f"`{name}`" for name in named.split(", "))
                parts.append(f"- {shown}: {what}")
        for before, part in zip(["", *parts], parts, strict=False):
            if paragraphs and before.startswith("- ") and part.startswith("- "):
                paragraphs[-1] += f"\n{part}"
            else:
                paragraphs.append(part)
    return "\n\n".join(paragraphs)
