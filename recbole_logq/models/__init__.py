"""Encoders behind RecBole's model interface, and the recipes that complete them to named models."""
