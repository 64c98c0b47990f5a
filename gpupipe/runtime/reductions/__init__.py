"""Training on partitions: trips over rows that give exact sums, and the models that follow from them."""
