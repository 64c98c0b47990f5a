"""One script a peer, a function a job, written as its good user would; each runs where only that peer is installed."""
