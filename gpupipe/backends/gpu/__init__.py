"""The backend of a GPU: the same plans, in a device's memory."""
