from gpupipe.artifact.format import FORMAT, VERSION, Contents, read, write

__all__ = ["FORMAT", "VERSION", "Contents", "read", "write"]
