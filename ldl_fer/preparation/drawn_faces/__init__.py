"""Schematic faces whose true label distributions are known."""
