"""One config a dataset: what `launch/train.py --config=NAME` trains with."""
