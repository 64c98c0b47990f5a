"""One script a peer, a function a job, written as a good user of that peer would; each runs where only it is installed."""
