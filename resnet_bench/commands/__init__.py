"""The commands of `python -m resnet_bench`, a module each."""
