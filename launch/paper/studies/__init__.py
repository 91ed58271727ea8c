"""Questions of users, answered by runs: one file each."""
