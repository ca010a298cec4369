"""`make bench` and `make bench-gpu`: measurements of speed, beside loops as peers write them."""
