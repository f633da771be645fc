"""Links between files of the repository, rewritten to links between pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def rewritten(markdown: str, path: str, address: str, places: Mapping[str, str], root: Path) -> str:
    """The text with links that hold on the site.

    Args:
        markdown: Text of a page.
        path: Place of its file in the repository.
        address: Place of its page in the site.
        places: Address of a page or file of the site by its path in the repository.
        root: Folder of the repository. A file there that the site does not have keeps its name and loses its link; one
            that is not there stays as it is, so that the build refuses it.
    """

    def link(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        file, mark, anchor = target.partition("#")
        if not file or ":" in file:
            return match[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        if wanted in places:
            # A page from its own folder, whatever folder the file in the repository is in.
            relative = posixpath.relpath(places[wanted], posixpath.dirname(address) or ".")
            return f"{picture}[{text}]({relative}{mark}{anchor})"
        return text if (root / wanted).exists() else match[0]

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(link, markdown[end:])])
