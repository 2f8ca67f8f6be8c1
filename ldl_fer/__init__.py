"""LDLVA."""
