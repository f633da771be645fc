"""What a conversion did, to be shown."""

from __future__ import annotations

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
    """

    source: str
    target: str
    columns: dict[str, str]
    read: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int) -> None:
        """Count rows left out."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)

    def note(self, text: str) -> None:
        """Something the user should know, said once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """The report as text."""
        out = [f"{self.source} -> {self.target}"]
        out += [f"  {target:<10} <- {source}" for target, source in self.columns.items()]
        if self.left_out:
            shown = ", ".join(name or "(no name)" for name in self.left_out[:_SHOWN])
            more = f" and {len(self.left_out) - _SHOWN:,} more" if len(self.left_out) > _SHOWN else ""
            out.append(f"  left out   <- {shown}{more} (--keep.COLUMN=token or float keeps one)")
        out.append(f"read {self.read:,} rows, wrote {self.written:,} interactions")
        out += [f"  dropped {count:,}: {reason}" for reason, count in self.dropped.items()]
        return out + [f"  note: {text}" for text in self.notes]
