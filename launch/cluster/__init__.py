"""Examples of how Kubernetes and Slurm start the workers of one run."""
