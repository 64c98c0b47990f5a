"""Models trained on partitions: which can be, and how they follow from sums over rows."""
