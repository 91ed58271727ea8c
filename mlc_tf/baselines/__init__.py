"""What Meta Loss Correction is compared with, one method a file."""
