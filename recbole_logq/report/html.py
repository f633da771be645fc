"""The frame of pages that open offline: one file, no outside resource, light and dark, narrow and wide."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from recbole_logq.markup import escape


def frame(title: str, heading: str, body: str, style: str = "", scripts: Sequence[str] = ()) -> str:
    """A whole page, with a content security policy: the browser fetches nothing and runs no script but those named.

    So nothing comes of a text that should slip through unescaped.

    Args:
        title: Of the window, plain text.
        heading: Of the page, plain text.
        body: HTML.
        style: CSS after the common one.
        scripts: Content of the script elements of the body.
    """
    digests = dict.fromkeys(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><style>{style}</style></head>\n"
        f"<body><h1>{escape(heading)}</h1>\n{body}\n</body></html>\n"
    )


def row(cells: Sequence[str], tag: str = "td") -> str:
    """A line of a table; cells are plain text."""
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bar: #3b82f6; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
.pairs td:first-child { width: 65%; }
.bar { display: block; height: 4px; margin-left: auto; border-radius: 2px; background: var(--bar); }
.wide { overflow-x: auto; }
"""
