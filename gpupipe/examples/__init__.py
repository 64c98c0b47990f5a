"""The demos: real data prepared, and the pipelines over it, each file written as a user would."""
