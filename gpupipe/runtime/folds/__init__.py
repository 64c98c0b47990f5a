"""Cross-validation: rows dealt to folds, statistics of all folds from one scan, a model for each."""
