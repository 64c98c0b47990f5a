"""Measurements of gpupipe. Nothing in the package imports this folder."""
