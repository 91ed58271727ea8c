"""The paper's tables and figures: its numbers, our runs, and documents."""
