"""What a conversion did, to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

_SHOWN = 30


@dataclass
class Report:
    """What a conversion read, wrote and left out.

    Attributes:
        source: The file that was read.
        target: The file that was written.
        columns: columns of the target, and where each comes from.
        read: Rows of the source.
        written: Rows of the target.
        dropped: Rows left out, by reason.
        left_out: Columns of the source that are none of the target's.
        notes: What the user should know.
        unit: What a row of the target is.
        features: Reports of the files of items and users that were written beside it.
    """

    source: str
    target: str
    columns: dict[str, str]
    read: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str = "interactions"
    features: list[Report] = field(default_factory=list)

    def drop(self, reason: str, count: int) -> None:
        """Count rows left out."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)

    def bad_row(self, line: int, reason: str) -> None:
        """Count a line that is no row; what a table calls for it."""
        self.read += 1
        self.drop(reason, 1)

    def dropped_lines(self) -> list[str]:
        """Numbers of rows left out, by reason."""
        return [f"dropped {count:,}: {reason}" for reason, count in self.dropped.items()]

    def untouched(self, look: Callable[[], bool]) -> bool:
        """What a first look at the rows says, which counts none of them."""
        before = self.read, dict(self.dropped)
        try:
            return look()
        finally:
            self.read, self.dropped = before

    def note(self, text: str) -> None:
        """Something the user should know, said once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """The report as text."""
        out = [f"{self.source} -> {self.target}"]
        out += [f"  {target:<10} <- {source}" for target, source in self.columns.items()]
        if self.left_out:
            flag = {"interactions": "--keep"}.get(self.unit, f"--{self.unit}_keep")
            names = ", ".join(name or "(no name)" for name in self.left_out[:_SHOWN])
            more = f" and {len(self.left_out) - _SHOWN:,} more" if len(self.left_out) > _SHOWN else ""
            out.append(f"  left out   <- {names}{more} ({flag}.COLUMN=token or float keeps one)")
        out.append(f"read {self.read:,} rows, wrote {self.written:,} {self.unit}")
        out += [f"  {line}" for line in self.dropped_lines()]
        out += [f"  note: {text}" for text in self.notes]
        return out + [line for report in self.features for line in report.lines()]
