"""Training: the loop, batches, schedule, evaluation, precision, checkpoints."""
