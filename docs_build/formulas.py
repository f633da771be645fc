"""Formulas of docstrings as MathML, which browsers draw without a script.

Docstrings write formulas in plain text, so that `help` shows them: `softplus(LSE(s - log Q') - log n - s+)`. What reads
as such a formula is set as one; everything else stays code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z]+)|(?P<mark>.))")
_FUNCTIONS = {"softplus", "LSE", "log", "logaddexp", "min", "max", "softmax", "exp", "stopgrad", "sum"}
_GREEK = {"alpha": "α", "beta": "β", "pi": "π"}
_SYMBOLS = set("aCcdehKkLmNnPpQqRSstUuwy")
_WORDS = {"own", "over", "the", "bucket", "catalogue", "units", "b", "u", "loss"}
_KNOWN = _FUNCTIONS | _GREEK.keys() | _SYMBOLS | _WORDS
_LONG = 25
"""Characters of a formula that may be wider than a narrow screen; it scrolls in a box of its own."""
_TEXTS = re.compile(r"over the (?:catalogue|bucket)")


def mathml(text: str, block: bool = False) -> str | None:
    """A formula as MathML, or None where the text is none.

    Args:
        text: Plain text: ``s+`` and ``Q'`` carry their marks, ``x_y`` an index, and signs between terms have blanks
            around them.
        block: Whether it stands on a line of its own.
    """
    if not re.search(r"[(\s'+]|^[A-Z]$|^[A-Za-z]+_[A-Za-z]+$", text) or re.match(r"log_", text) or not _known(text):
        return None
    try:
        parser = _Parser(_tokens(text))
        drawn = parser.expression()
    except _NoFormulaError:
        return None
    if parser.left():
        return None
    display = " display='block'" if block else ""
    formula = f"<math{display}><mrow>{drawn}</mrow></math>"
    return f"<span class='long'>{formula}</span>" if len(text) > _LONG and not block else formula


class _NoFormulaError(ValueError):
    """The text does not follow the grammar."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    spaced: bool
    """Whether a blank stands before it."""


def _known(text: str) -> bool:
    return all(name in _KNOWN for name in re.findall(r"[A-Za-z]+", text))


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    while place < len(text.rstrip()):
        if phrase := _TEXTS.match(text, place):
            tokens.append(_Token("text", phrase[0], True))
            place = phrase.end()
            if place < len(text) and text[place] == " " and _TEXTS.match(text, place + 1):
                place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise _NoFormulaError
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match[0][0].isspace()))
        place = match.end()
        if _TEXTS.match(text, place + 1) and text[place : place + 1] == " ":
            place += 1
    return tokens


class _Parser:
    """Sums of products and fractions of what is applied, indexed and marked."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._place = tokens, 0

    def left(self) -> bool:
        """Whether something has not been read."""
        return self._place < len(self._tokens)

    def expression(self) -> str:
        """Equations and sums."""
        parts = [_sign(self._take().text)] if self._is("-", "+") else []
        if not (parts and self._is("|")):  # P(+|u): the positive, given the row
            parts.append(self._product())
        while self._is("+", "-", "=", "|"):
            parts += [_sign(self._take().text), self._product()]
        return "".join(parts)

    def _product(self) -> str:
        factors, plain = [], []
        while self.left() and not self._is("+", "-", "=", ")", ",", "|"):
            if self._is("/"):
                self._take()
                if not factors:
                    raise _NoFormulaError
                _, bare = self._factor()
                above = plain[0] if len(factors) == 1 else "".join(factors)
                fraction = f"<mfrac><mrow>{above}</mrow><mrow>{bare}</mrow></mfrac>"
                factors, plain = [fraction], [fraction]
                continue
            factor, bare = self._factor()
            factors.append(factor)
            plain.append(bare)
        if not factors:
            raise _NoFormulaError
        return "<mspace width='0.17em'/>".join(factors)

    def _factor(self) -> tuple[str, str]:
        """A factor, and the same without brackets around the whole, as above and below a line."""
        if not self.left():
            raise _NoFormulaError
        token = self._take()
        if token.text == "(":
            inner = self._inside()
            return _bracketed(inner), inner
        if token.kind == "number":
            return (f"<mn>{token.text}</mn>",) * 2
        if token.kind == "text":
            return (f"<mtext>&nbsp;{token.text}&nbsp;</mtext>",) * 2
        if token.kind != "name":
            raise _NoFormulaError
        drawn = self._marked(token)
        if self._is("(") and not self._tokens[self._place].spaced:
            self._take()
            arguments = [self._inside(",")]
            while self._tokens[self._place - 1].text == ",":
                arguments.append(self._inside(","))
            drawn += _bracketed("<mo>,</mo>".join(arguments))
        elif token.text in _FUNCTIONS and self.left() and not self._is(")", ",", "+", "-", "/", "|", "="):
            argument, _ = self._factor()
            drawn = f"{drawn}<mspace width='0.17em'/>{argument}"
        return drawn, drawn

    def _inside(self, *ends: str) -> str:
        inner = self.expression()
        if not self._is(")", *ends):
            raise _NoFormulaError
        self._take()
        return inner

    def _marked(self, token: _Token) -> str:
        """A name with its prime, its index and its sign."""
        name = _GREEK.get(token.text, token.text)
        style = ""
        if self._attached("'"):  # with its letter: a prime set as an exponent stands too high
            self._take()
            name, style = f"{name}′", " style='font-style:italic'"
        base, above, below = f"<mi{style}>{name}</mi>", "", ""
        if self._attached("_"):
            self._take()
            index = self._take()
            if index.kind not in ("name", "number"):
                raise _NoFormulaError
            below = f"<mi>{index.text}</mi>"
        if self._attached("+", "-") and not self._followed_closely():
            above = {"+": "+", "-": "−"}[self._take().text]
        if self._attached("^"):
            self._take()
            sign = _sign(self._take().text) if self._is("-") else ""
            exponent, _ = self._factor()
            return f"<msup>{base}<mrow>{sign}{exponent}</mrow></msup>"
        over = f"<mo>{above}</mo>" if above else ""
        if below and over:
            return f"<msubsup>{base}{below}{over}</msubsup>"
        return f"<msub>{base}{below}</msub>" if below else f"<msup>{base}{over}</msup>" if over else base

    def _followed_closely(self) -> bool:
        following = self._tokens[self._place + 1] if self._place + 1 < len(self._tokens) else None
        return following is not None and not following.spaced and following.kind != "mark"

    def _attached(self, *marks: str) -> bool:
        return self._is(*marks) and not self._tokens[self._place].spaced

    def _is(self, *marks: str) -> bool:
        return self.left() and self._tokens[self._place].text in marks

    def _take(self) -> _Token:
        if not self.left():
            raise _NoFormulaError
        self._place += 1
        return self._tokens[self._place - 1]


def _bracketed(inner: str) -> str:
    # As high as a line: without a font for formulas, browsers stretch brackets around every index.
    return f"<mo stretchy='false'>(</mo>{inner}<mo stretchy='false'>)</mo>"


def _sign(text: str) -> str:
    return f"<mo>{escape({'-': '−'}.get(text, text))}</mo>"
