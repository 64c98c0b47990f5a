"""What can be read: everything becomes a `Source` of partitions."""

from gpupipe.sources.partition import LoadReport, Partition
from gpupipe.sources.source import Source, scan

__all__ = ["LoadReport", "Partition", "Source", "scan"]
