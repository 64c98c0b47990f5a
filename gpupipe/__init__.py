"""gpupipe: pipelines for tables."""
