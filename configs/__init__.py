"""The settings of each dataset, which `launch/train.py --config=NAME` uses."""
