"""What the device's functions raise where the host has to do the work."""


class NotOnDevice(Exception):
    """This is not done on a device; the host does it, with the same result. The text says why."""
