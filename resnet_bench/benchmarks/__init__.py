"""Speed: this machine's limits, and how near to them the training comes."""
