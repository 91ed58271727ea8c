"""How a scheduler starts the workers of one run: Kubernetes and Slurm."""
