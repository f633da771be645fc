"""The version of this package, for what records it; nothing is imported here."""

__version__ = "0.2.0"
