"""What a trained run is worth: predictions, calibration, figures, targets and baselines."""
