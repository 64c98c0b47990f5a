"""For all tests."""

import signal

# A shell script ignores Ctrl-C for what it starts in the background, which processes inherit: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
