"""What a promotion of items from one tenant to another would write, and what forbids it. Nothing is written."""
