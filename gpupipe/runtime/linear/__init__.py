"""Models from covariances: linear regression, ridge and principal components."""
