"""Networks: plain and residual ones, their variants, sizes, layers and initial weights."""
