"""The commands of the package: `python launch/NAME.py` or `mlc_tf NAME`."""
