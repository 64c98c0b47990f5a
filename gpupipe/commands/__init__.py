"""The commands of the command line: each adds its options, and runs."""
